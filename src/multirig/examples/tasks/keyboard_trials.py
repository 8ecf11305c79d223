"""Reaction times on the keyboard: after a random delay a letter is asked for.

One JSON line a trial goes into ``_iblrig_taskData.raw.jsonable``, and a marker to the rigs. A line ``stop``
ends the task early; what is typed before the letter is asked for does not count.
Run it with ``multirig run multirig.examples.tasks.keyboard_trials --subject SP_01 --trials 10``.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import random
import threading
import time

from multirig.ibl import NetworkSession, get_task_arguments

KEYS = "fj"
"""The keys that are asked for: where the two forefingers rest."""
LOOK_EVERY = 0.1
"""Seconds between two looks for a wish to stop."""


class Session(NetworkSession):
    """Ask for a letter after a random delay and take the reaction time."""

    protocol_name = "keyboardTrials"

    def __init__(self, *args: object, trials: int = 10, max_delay: float = 2.0, **kwargs: object) -> None:
        self.trials = trials
        self.max_delay = max_delay
        self._lines: queue.SimpleQueue[tuple[float, str] | None] = queue.SimpleQueue()
        super().__init__(*args, **kwargs)
        self.interactive = False  # the keyboard is the participant's: nothing else is asked on it
        self.task_params |= {"TRIALS": trials, "MAX_DELAY": max_delay, "CLOCK": "time.perf_counter, seconds"}

    @staticmethod
    def extra_parser() -> argparse.ArgumentParser:
        """Add how many trials, and how long to wait before each."""
        parser = NetworkSession.extra_parser()
        parser.add_argument("--trials", type=int, default=10, help="how many (default: %(default)s)")
        parser.add_argument(
            "--max-delay",
            type=float,
            default=2.0,
            metavar="SECONDS",
            help="longest delay before a letter is asked for (default: %(default)g)",
        )
        return parser

    def start_hardware(self) -> None:
        """Read the keyboard in a thread that ends with the process, each line with its time."""
        threading.Thread(target=self._listen, name="keyboard", daemon=True).start()

    def _run(self) -> None:
        with self.paths.DATA_FILE_PATH.open("a", encoding="utf-8") as file:
            for trial in range(self.trials):
                asked, key = self._ask()
                answer = self._answer(asked)
                if answer is None:
                    self.logger.info("ended after %d of %d trials", trial, self.trials)
                    return
                answered, text = answer
                is_correct = text == key
                record = {
                    "trial": trial,
                    "key": key,
                    "answer": text,
                    "correct": is_correct,
                    "asked_at": asked,
                    "answered_at": answered,
                    "reaction_time": answered - asked,
                }
                file.write(json.dumps(record) + "\n")
                file.flush()  # a trial that was done is on the disk, whatever comes
                self.mark("trial", number=trial, correct=is_correct)
                self.session_info.NTRIALS += 1
                self.session_info.NTRIALS_CORRECT += is_correct

    def _ask(self) -> tuple[float, str]:
        """Ask for a letter after a random delay; return when and for which."""
        time.sleep(random.uniform(0, self.max_delay))
        key = random.choice(KEYS)
        asked = time.perf_counter()  # before it can be seen, so that no answer comes earlier
        print(f"{key} and Enter: ", end="", flush=True)
        return asked, key

    def _answer(self, asked: float) -> tuple[float, str] | None:
        """Return the first line after the question, and when it came; None: the task is to end."""
        while not self.stop_requested:
            try:
                line = self._lines.get(timeout=LOOK_EVERY)
            except queue.Empty:
                continue
            if line is None or line[1] == "stop":
                return None
            if line[0] >= asked:
                return line
        return None

    def _listen(self) -> None:
        # os.read, not sys.stdin: a thread that holds sys.stdin's lock would crash the interpreter's exit
        pending = b""
        while received := os.read(0, 4096):
            now = time.perf_counter()
            *lines, pending = (pending + received).split(b"\n")
            for line in lines:
                self._lines.put((now, line.decode(errors="replace").strip()))
        self._lines.put(None)


if __name__ == "__main__":
    session = Session(**get_task_arguments(parents=[Session.extra_parser()]))
    session.run()
