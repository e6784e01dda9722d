"""One seed, many independent named streams.

A stream is a function of (seed, name, indices) and of nothing else: `numpy_generator(3, "tasks", 17)` is the task
stream of iteration 17 whatever was drawn before. A resumed run therefore needs no generator state, and the number of
threads or of parallel runs cannot change a draw.
"""

from __future__ import annotations

import zlib

import numpy as np
import torch

__all__ = ["derived_seed", "numpy_generator", "torch_generator"]


def _sequence(seed: int, name: str, indices: tuple[int, ...]) -> np.random.SeedSequence:
    return np.random.SeedSequence(entropy=seed, spawn_key=(zlib.crc32(name.encode()), *indices))


def numpy_generator(seed: int, name: str, *indices: int) -> np.random.Generator:
    """The NumPy generator of a stream."""
    return np.random.default_rng(_sequence(seed, name, indices))


def derived_seed(seed: int, name: str, *indices: int) -> int:
    """One 32-bit number of a stream, for interfaces that take a seed (an environment's reset)."""
    return int(_sequence(seed, name, indices).generate_state(1, np.uint32)[0])


def torch_generator(seed: int, name: str, *indices: int) -> torch.Generator:
    """The torch generator of a stream."""
    state = int(_sequence(seed, name, indices).generate_state(1, np.uint64)[0])
    return torch.Generator().manual_seed(state >> 1)  # manual_seed takes a signed 64-bit integer
