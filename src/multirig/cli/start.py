"""The door of the program: what is behind it is loaded quickly, then run."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """Run the command line of this process."""
    gc.disable()  # all that is loaded stays: a look for garbage among it costs a sixth of the time
    from multirig.cli.main import run
    from multirig.cli.terminal import OUTPUT_LOST, is_output_lost, outlive_terminal

    outlive_terminal()
    code = run(sys.argv[1:], _mind_garbage)
    if is_output_lost():
        if sys.stderr is not None:
            sys.stderr.write(f"✗ {OUTPUT_LOST}\n")
        code = code or 1
    sys.exit(code)


def _mind_garbage() -> None:
    gc.freeze()
    gc.enable()
