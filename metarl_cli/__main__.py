"""`python -m metarl_cli` is `metarl`."""

from metarl_cli.cli import main

if __name__ == "__main__":
    main()
