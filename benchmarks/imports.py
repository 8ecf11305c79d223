"""What ``import multirig`` costs over a bare Python."""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median

ROUNDS = 9
CLAIM = 0.25
"""Seconds, at most."""


def measure() -> dict[str, float]:
    """Return median seconds of a bare Python, of ``import multirig``, and of all that a conductor imports."""
    programs = {
        "bare Python": "pass",
        "import multirig": "import multirig",
        "from multirig import Conductor": "from multirig import Conductor",
    }
    times: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(ROUNDS):
        for name, program in programs.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", program], check=True)
            times[name].append(time.perf_counter() - began)
    return {name: median(samples) for name, samples in times.items()}
