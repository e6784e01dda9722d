"""The exit codes of the command, as its help lists them."""

from __future__ import annotations

__all__ = ["CLAIM_FAILED", "FAILED", "INTERRUPTED", "OK", "PARTIAL", "USAGE"]

OK, FAILED, USAGE, PARTIAL, CLAIM_FAILED, INTERRUPTED = 0, 1, 2, 3, 4, 130
