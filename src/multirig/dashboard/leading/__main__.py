"""Run this package as a program: it is `leading.process`."""

import gc
import sys

if __name__ == "__main__":
    gc.disable()  # all that is loaded stays: a look for garbage among it costs a sixth of the time
    from multirig.dashboard.leading.process import main
    from multirig.pc.console import write_anything

    gc.freeze()
    gc.enable()
    for stream in (sys.stdout, sys.stderr):
        write_anything(stream)
    sys.exit(main(sys.argv[1:]))
