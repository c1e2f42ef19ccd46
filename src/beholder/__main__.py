"""`python -m beholder` is `beholder`."""

import sys

from beholder.cli import main

if __name__ == "__main__":
    sys.exit(main())
