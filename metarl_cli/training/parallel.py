"""Threads of our own, of which each computes alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

__all__ = ["mapped"]

Result = TypeVar("Result")


def mapped(function: Callable[..., Result], *arguments: Iterable[object], threads: int) -> list[Result]:
    """What `map` gives, in its order, with that many calls at a time.

    Args:
        function: what is called, with one of each of the arguments.
        arguments: of equal length.
        threads: how many; with one, it is the calling thread.
    """
    if threads == 1:
        return list(map(function, *arguments))
    # PyTorch's number of threads is that of the thread that has set it: in a new one the first products would be shared
    # out to as many as there are cores, and each of ours would have a team of them.
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        return list(pool.map(function, *arguments))
