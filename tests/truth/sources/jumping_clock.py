"""``multirig`` on a PC whose clock jumps: ``python -m tests.truth.sources.jumping_clock AT BY COMMAND…``.

AT seconds after a file named by ``MULTIRIG_TRUTH_CUE`` is there, what this program reads as its monotonic
clock is BY seconds later. Nothing else is touched: it is as if the PC had slept, or its counter were wrong.
"""

from __future__ import annotations

import os
import sys
import time

LOOK_EVERY_NS = 10_000_000


def bend(at: float, by: float, cue: str) -> None:
    """Replace the clock of this process."""
    true_clock = time.perf_counter_ns
    state = {"looked": 0, "begin": 0}

    def read() -> int:
        now = true_clock()
        if not state["begin"] and now - state["looked"] > LOOK_EVERY_NS:
            state["looked"] = now
            if os.path.exists(cue):
                state["begin"] = now
        jumped = state["begin"] and now - state["begin"] >= at * 1e9
        return now + (round(by * 1e9) if jumped else 0)

    time.perf_counter_ns = read


if __name__ == "__main__":
    bend(float(sys.argv[1]), float(sys.argv[2]), os.environ["MULTIRIG_TRUTH_CUE"])
    sys.argv = ["multirig", *sys.argv[3:]]
    from multirig.cli.start import main

    main()
