from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import torch

from metarl_cli.training.parallel import mapped


@pytest.mark.parametrize("threads", [1, 2])
def test_results_come_in_the_order_of_the_arguments(threads):
    assert mapped(pow, (2, 3, 4), (3, 2, 1), threads=threads) == [8, 9, 4]


@pytest.mark.skipif(not sys.platform.startswith("linux") or os.cpu_count() == 1, reason="counts threads in /proc")
def test_each_thread_computes_its_products_alone():
    def threads() -> int:
        return len(list(Path("/proc/self/task").iterdir()))

    def product_starts_no_thread(matrices):
        before = threads()
        matrices @ matrices.mT
        return threads() == before

    assert mapped(product_starts_no_thread, [torch.randn(4, 500, 64)], threads=2) == [True]
