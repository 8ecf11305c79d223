"""Spontaneous activity: nothing is shown and nothing asked, while every rig records.

Run it with ``multirig run multirig.examples.tasks.spontaneous --subject SP_01 --duration 600``.
"""

from __future__ import annotations

import argparse
import math
import time

from multirig.ibl import NetworkSession, get_task_arguments

LOOK_EVERY = 0.1
"""Seconds between two looks for a wish to stop."""


class Session(NetworkSession):
    """Record spontaneous activity for some time, or until somebody asks for an end."""

    protocol_name = "spontaneous"

    def __init__(self, *args: object, duration: float = 60.0, **kwargs: object) -> None:
        self.duration = duration
        super().__init__(*args, **kwargs)
        self.task_params["DURATION"] = duration

    @staticmethod
    def extra_parser() -> argparse.ArgumentParser:
        """Add how long it takes."""
        parser = NetworkSession.extra_parser()
        parser.add_argument(
            "--duration",
            type=seconds,
            default=60.0,
            metavar="SECONDS",
            help="how long to record (default: %(default)g)",
        )
        return parser

    def start_hardware(self) -> None:
        """Start nothing: this task has no hardware of its own."""

    def _run(self) -> None:
        end = time.perf_counter() + self.duration
        while (left := end - time.perf_counter()) > 0 and not self.stop_requested:
            time.sleep(min(left, LOOK_EVERY))


def seconds(text: str) -> float:
    """Read a time span."""
    number = float(text)
    if not (math.isfinite(number) and number >= 0):
        raise ValueError("not a time span")
    return number


if __name__ == "__main__":
    session = Session(**get_task_arguments(parents=[Session.extra_parser()]))
    session.run()
