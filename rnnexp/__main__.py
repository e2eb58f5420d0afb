"""`python -m rnnexp` is the same command as `rnnexp`."""

import sys

from rnnexp.cli import main

if __name__ == "__main__":
    sys.exit(main())
