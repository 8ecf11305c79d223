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
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from multirig.collect.collector import Collector
from multirig.collect.control import Control, Ended
from multirig.collect.places import open_destination
from multirig.errors import MultirigError, ProtocolError
from multirig.logs import keep_log
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.holdings import sum_up, write_holdings

IDLE = 300.0
"""Seconds without a wish after which it ends; it is started again when it is needed."""
END_LIMIT = 2.0
"""Seconds that it may take to end: a share that is dead holds up whoever asks it."""

log = logging.getLogger("multirig.collect")

Wish = dict[str, Any]


class _Order(NamedTuple):
    """A wish, and what ends it: whoever says that no more is to be copied means this one."""

    wish: Wish
    control: Control


class Worker:
    """Does one wish after the other, and tells meanwhile how far it is.

    Parameters
    ----------
    roots : iterable of pathlib.Path
        Folders ``…/<lab>/Subjects``.
    """

    def __init__(self, roots: Iterable[Path]) -> None:
        self._collector = Collector(tuple(roots))
        self._orders: queue.SimpleQueue[_Order] = queue.SimpleQueue()
        self._open: list[_Order] = []
        """What is to be done, and what is being done."""
        self._trouble = ""
        self._heard_at = time.monotonic()
        self._lock = threading.Lock()

    def run(self) -> None:
        """Obey until the input is closed, or nothing was wished of it for a while."""
        thread = threading.Thread(target=self._work, name="multirig collect", daemon=True)
        thread.start()
        threading.Thread(target=self._end_when_idle, daemon=True).start()
        for line in sys.stdin:
            self._heard_at = time.monotonic()
            with contextlib.suppress(ValueError):
                self._take(json.loads(line))
        self._end()
        thread.join(END_LIMIT)

    def _end_when_idle(self) -> None:
        while True:
            time.sleep(IDLE / 10)
            with self._lock:
                if not self._open and time.monotonic() - self._heard_at > IDLE:
                    os._exit(0)

    def _take(self, wish: Wish) -> None:
        match wish.get("do"):
            case "look":
                self._answer(wish)
            case "collect" | "clear":
                with self._lock:
                    if any(one.wish == wish and not one.control.is_ended for one in self._open):
                        return  # what is to be done already is not done twice
                    order = _Order(wish, Control(wish.get("rate")))
                    self._open.append(order)
                    self._orders.put(order)
            case "end":
                self._end()

    def _end(self) -> None:
        """Copy no more; what waits is forgotten."""
        with self._lock:
            for order in self._open:
                order.control.end()

    def _answer(self, wish: Wish) -> None:
        try:
            sessions = self._collector.look(_refs(wish.get("sessions")))
        except MultirigError as error:
            sessions, self._trouble = [], str(error)
        with self._lock:
            told = replace(sum_up(sessions), is_busy=bool(self._open), trouble=self._trouble)
        self._say({"number": wish.get("number"), **write_holdings(told)[1]})

    @staticmethod
    def _say(what: Wish) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.write(json.dumps(what) + "\n")
            sys.stdout.flush()

    def _work(self) -> None:
        while True:
            order = self._orders.get()
            to = order.wish.get("to")
            self._trouble = ""
            try:
                if not order.control.is_ended:
                    self._do(order)
            except Ended:
                pass
            except (MultirigError, OSError) as error:
                self._trouble = str(error)
                log.warning("collecting to %s: %s", to, error)
            except Exception as error:
                self._trouble = f"it failed ({type(error).__name__}: {error}): the log has the details"
                log.exception("collecting to %s failed", to)
            finally:
                with self._lock:
                    self._open.remove(order)

    def _do(self, order: _Order) -> None:
        wish = order.wish
        self._collector.control = order.control
        destination = open_destination(str(wish["to"]))
        wanted = _refs(wish.get("sessions"))
        try:
            if wish["do"] == "clear":
                self._collector.clear(destination, wanted)
            else:
                self._collector.collect(destination, wanted, is_new=wish.get("new") is True)
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
    keep_log("collect", tell=lambda _: None)  # nobody looks
    for stream in (sys.stdin, sys.stdout):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors="surrogatepass")
    Worker(Path(one) for one in sys.argv[1:]).run()
