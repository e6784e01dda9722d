"""A module that runs the program it is given, as `python -c` does."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    exec(sys.argv[1])
