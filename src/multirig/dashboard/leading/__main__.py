"""Run this package as a program: it is `leading.process`."""

import sys

from multirig.dashboard.leading.process import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
