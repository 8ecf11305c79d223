"""A program that records, and misbehaves on cue; run as a program by a rig of the kind ``process``.

``python -m tests.truth.sources.recorder FOLDER SCRIPT.json TRUTH.jsonl``. Without a fault it writes
``data.bin`` at a steady rate, prints ``ready`` and then its progress, and ends with 0 on a line ``stop``,
at the end of its input or on an interrupt. What it really did stands in the truth file.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

TICK = 0.05
"""Seconds between two writes: a sample each."""
REPORT = 5
"""Writes between two words of progress."""


class Recorder:
    """What the program does, by its script."""

    def __init__(self, folder: str, script: str, truth: str) -> None:
        self._script: dict[str, Any] = json.loads(Path(script).read_text(encoding="utf-8"))
        self._folder = Path(self._script.get("folder") or folder)
        self._truth = Path(truth)
        self._asked = threading.Event()
        self._samples = 0
        self._lost = 0

    def note(self, what: str, **data: Any) -> None:
        """Write down what is true."""
        with self._truth.open("a", encoding="ascii") as file:
            file.write(json.dumps({"what": what, "at": time.monotonic_ns(), **data}) + "\n")

    def listen(self) -> None:
        """Ask for an end at a line ``stop`` or the end of the input."""
        pending = b""
        while not self._asked.is_set():
            received = os.read(0, 4096)
            pending += received
            if not received or b"stop" in pending:
                self._asked.set()

    def run(self) -> int:
        """Record until the end; return the exit code."""
        script = self._script
        self.note("began", pid=os.getpid())
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self._asked.set())
        threading.Thread(target=self.listen, daemon=True).start()
        self._folder.mkdir(parents=True, exist_ok=True)
        files = [
            (self._folder / name).open("ab", buffering=0)
            for name in ([] if script.get("writes") == "no file" else script.get("names", ["data.bin"]))
        ]
        time.sleep(script.get("slow_to_start", 0.0))
        if script.get("ready", True):
            print("ready", flush=True)
        begin, code = time.monotonic(), script.get("code", 0)
        due = begin
        while not self._asked.is_set() or script.get("deaf"):
            seconds = time.monotonic() - begin
            if "dies" in script and seconds >= script["dies"]:
                self.note("died", samples=self._samples)
                if script.get("by") is not None:
                    os.kill(os.getpid(), script["by"])
                os._exit(code)
            self._sample(files, seconds)
            due += TICK
            self._asked.wait(max(0.0, due - time.monotonic()))
            if self._asked.is_set():
                time.sleep(max(0.0, due - time.monotonic()) if script.get("deaf") else 0.0)
        self.note("ended", samples=self._samples, lost=self._lost, bytes=self._sizes(files))
        time.sleep(script.get("slow_to_stop", 0.0))
        return code

    def _sample(self, files: list[Any], seconds: float) -> None:
        script = self._script
        is_silent = "still" in script and seconds >= script["still"]
        if is_silent and script.get("again") is not None:
            is_silent = seconds < script["again"]
        if not is_silent:
            self._samples += 1
        if script.get("writes", "data") == "data" and not is_silent:
            for file in files:
                if Path(file.name).name in script.get("starved", ()):
                    continue
                try:
                    file.write(bytes(script.get("bytes", 4096)))
                except OSError as error:  # swallowed, as real programs do
                    self._lost += 1
                    self.note("lost", error=error.errno)
        if script.get("says", "progress") == "progress" and self._samples % REPORT == 0:
            if not is_silent or script.get("lies"):
                dropped = f" dropped {script['drops']}" if "drops" in script else ""
                print(f"samples {self._samples}{dropped}", flush=True)
        elif script.get("says") == "chat":
            print(f"all is well, I am {self._samples} ticks old", flush=True)
        if script.get("complains") is not None and self._samples == script.get("complains_at", 20):
            stream = sys.stdout if script.get("on") == "stdout" else sys.stderr
            print(script["complains"], file=stream, flush=True)

    @staticmethod
    def _sizes(files: list[Any]) -> dict[str, int]:
        return {Path(one.name).name: os.fstat(one.fileno()).st_size for one in files}


if __name__ == "__main__":
    sys.exit(Recorder(*sys.argv[1:4]).run())
