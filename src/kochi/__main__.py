"""Run the command as ``python -m kochi``."""

import sys

from kochi.cli import main

if __name__ == "__main__":
    sys.exit(main())
