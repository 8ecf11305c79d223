"""The program that copies for a rig, so that nothing of a copy stands in the way of a recording.

It is driven by lines of JSON on its standard input, and answers in lines on its standard output; it ends when
its input is closed, or when nothing was wished of it for a while.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import sys
import threading
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from multirig.collect.collector import Collector
from multirig.collect.control import Control, Ended
from multirig.collect.places import DestinationError, open_destination
from multirig.errors import MultirigError, ProtocolError
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.holdings import sum_up, write_holdings

IDLE = 300.0
"""Seconds without a wish after which it ends; it is started again when it is needed."""
END_LIMIT = 2.0
"""Seconds that it may take to end: a share that is dead holds up whoever asks it."""

log = logging.getLogger("multirig.collect")

Wish = dict[str, Any]


class Worker:
    """Does one wish after the other, and tells meanwhile how far it is.

    Parameters
    ----------
    roots : iterable of pathlib.Path
        Folders ``…/<lab>/Subjects``.
    """

    def __init__(self, roots: Iterable[Path]) -> None:
        self._roots = tuple(roots)
        self._collector = Collector(self._roots)
        self._wishes: queue.Queue[Wish | None] = queue.Queue()
        self._trouble = ""
        self._open: list[Wish] = []
        """What is to be done, and what is being done."""
        self._lock = threading.Lock()

    def run(self) -> None:
        """Obey until the input is closed."""
        thread = threading.Thread(target=self._work, name="multirig collect", daemon=True)
        thread.start()
        timer = self._idle_timer()
        for line in sys.stdin:
            timer.cancel()
            try:
                wish = json.loads(line)
            except ValueError:
                continue
            self._take(wish)
            timer = self._idle_timer()
        timer.cancel()
        self._end()
        thread.join(END_LIMIT)

    def _idle_timer(self) -> threading.Timer:
        timer = threading.Timer(IDLE, self._end_if_idle)
        timer.daemon = True
        timer.start()
        return timer

    def _end_if_idle(self) -> None:
        with self._lock:
            is_idle = not self._open
        if is_idle:
            os._exit(0)

    def _take(self, wish: Wish) -> None:
        match wish.get("do"):
            case "look":
                self._answer(wish)
            case "collect" | "clear":
                with self._lock:
                    if wish not in self._open:  # what is to be done already is not done twice
                        self._open.append(wish)
                        self._wishes.put(wish)
            case "end":
                self._end()

    def _end(self) -> None:
        """Copy no more; what waits is forgotten."""
        with contextlib.suppress(queue.Empty):
            while True:
                wish = self._wishes.get_nowait()
                with self._lock:
                    if wish is not None:
                        self._open.remove(wish)
        self._collector.control.end()

    def _answer(self, wish: Wish) -> None:
        wanted = _refs(wish.get("sessions"))
        try:
            sessions = self._collector.look(wanted)
        except MultirigError as error:
            sessions, self._trouble = [], str(error)
        with self._lock:
            is_busy = bool(self._open)
        told = replace(sum_up(sessions), is_busy=is_busy, trouble=self._trouble)
        self._say({"number": wish.get("number"), **write_holdings(told)[1]})

    @staticmethod
    def _say(what: Wish) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.write(json.dumps(what) + "\n")
            sys.stdout.flush()

    def _work(self) -> None:
        while True:
            wish = self._wishes.get()
            if wish is None:
                return
            self._trouble = ""
            try:
                self._do(wish)
            except Ended:
                pass
            except (MultirigError, OSError) as error:
                self._trouble = str(error)
                log.warning("collecting to %s: %s", wish.get("to"), error)
            except Exception as error:
                self._trouble = f"it failed ({type(error).__name__}: {error}): the log has the details"
                log.exception("collecting to %s failed", wish.get("to"))
            finally:
                with self._lock:
                    self._open.remove(wish)

    def _do(self, wish: Wish) -> None:
        if self._collector.control.is_ended:
            self._collector.control = Control()
        self._collector.control.rate = wish.get("rate")
        destination = open_destination(str(wish["to"]))
        wanted = _refs(wish.get("sessions"))
        try:
            if wish["do"] == "clear":
                self._collector.clear(destination, wanted)
            else:
                self._collector.collect(destination, wanted, is_new=wish.get("new") is True)
        except DestinationError as error:
            raise MultirigError(str(error)) from None
        finally:
            destination.close()


def _refs(names: object) -> tuple[ExpRef, ...]:
    found = []
    for name in names if isinstance(names, list) else ():
        with contextlib.suppress(ProtocolError, ValueError):
            found.append(ExpRef.parse(str(name)))
    return tuple(found)


def step_back() -> None:
    """Let everything else on this PC go first."""
    process = psutil.Process()
    with contextlib.suppress(psutil.Error, OSError, AttributeError):
        if sys.platform == "win32":
            process.nice(psutil.IDLE_PRIORITY_CLASS)
            process.ionice(psutil.IOPRIO_LOW)
        else:
            process.nice(15)
            if sys.platform == "linux":
                process.ionice(psutil.IOPRIO_CLASS_IDLE)


def main() -> None:
    """Run the program: its arguments are folders of subjects."""
    step_back()
    for stream in (sys.stdin, sys.stdout):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors="surrogatepass")
    Worker(Path(one) for one in sys.argv[1:]).run()
