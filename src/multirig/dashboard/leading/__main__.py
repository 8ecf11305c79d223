"""Run this package as a program: it is `leading.process`."""

import gc
import sys

if __name__ == "__main__":
    gc.disable()  # all that is loaded stays: a look for garbage among it costs a sixth of the time
    from multirig.dashboard.leading.process import main

    gc.freeze()
    gc.enable()
    sys.exit(main(sys.argv[1:]))
