"""A task that ends as a script says: it dies hard, it fails, or it marks what cannot be marked."""

from __future__ import annotations

import argparse
import os
import signal
import time

from multirig.ibl import NetworkSession


class Session(NetworkSession):
    """Record for some time, then do what was chosen."""

    protocol_name = "truth"

    def __init__(self, *args: object, duration: float = 5.0, end: str = "well", **kwargs: object) -> None:
        self.duration, self.end = duration, end
        super().__init__(*args, **kwargs)

    @staticmethod
    def extra_parser() -> argparse.ArgumentParser:
        parser = NetworkSession.extra_parser()
        parser.add_argument("--duration", type=float, default=5.0)
        parser.add_argument("--end", default="well")
        return parser

    def start_hardware(self) -> None:
        """There is none."""

    def _run(self) -> None:
        end = time.perf_counter() + self.duration
        while time.perf_counter() < end and not self.stop_requested:
            time.sleep(0.05)
        match self.end:
            case "exit":
                os._exit(3)
            case "crash":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "raise":
                raise ZeroDivisionError("one trial too many")
            case "mark":
                self.mark("x" * 301)
                self.mark("bytes", value=b"\x00\x01")
                time.sleep(1.0)
