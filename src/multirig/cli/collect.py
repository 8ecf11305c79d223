"""``multirig collect``: bring what all PCs have recorded to the lab's server."""

from __future__ import annotations

import asyncio
import datetime
import threading
import time
from pathlib import Path
from typing import Annotated

import typer

from multirig.cli import render
from multirig.cli.collecting import Lab, find_rules, parse_sessions, progress_line, show_parts
from multirig.cli.options import DataFolder, LabName, Sessions
from multirig.cli.program import FAILED, INTERRUPTED, app
from multirig.cli.rigs import RigsFile
from multirig.collect.collector import Collector
from multirig.collect.control import Control, Ended
from multirig.collect.overview import THIS_PC, Parts
from multirig.collect.places import Destination, open_destination
from multirig.collect.whole import list_missing
from multirig.conductor.collecting import wish_of_rigs
from multirig.config import parse_rate
from multirig.errors import ConfigError, MultirigError
from multirig.logs import keep_log
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.holdings import AskHoldings, Collect, Holdings, Whereabouts, is_left
from multirig.wording import count, listed

LOOK_EVERY = 1.0
"""Seconds between two looks at how far the rigs are."""
MOST_ASKED = 50
"""Sessions that a rig is asked for at each look: those that are not collected, the oldest first."""
PLAIN_EVERY = 30.0
"""Seconds between two lines on how far it is, where there is no screen."""


@app.command()
def collect(
    sessions: Sessions = None,
    to: Annotated[
        str | None,
        typer.Option(
            help="The destination, as each PC reaches it: a folder or share, or a remote of rclone; without "
            "it, the one of multirig.yaml.",
        ),
    ] = None,
    rate: Annotated[
        str | None, typer.Option(metavar="RATE", help="How much each PC may send, as in 50 MB/s.")
    ] = None,
    here: Annotated[bool, typer.Option("--here", help="Only what lies on this PC.")] = False,
    stop: Annotated[
        bool, typer.Option("--stop", help="Let the rigs copy no more, until they are told.")
    ] = False,
    new_destination: Annotated[
        bool, typer.Option("--new-destination", help="The destination was really replaced by another one.")
    ] = False,
    data: DataFolder = None,
    lab: LabName = None,
    rigs_file: RigsFile = None,
) -> None:
    """Copy what this PC and all rigs have recorded to one place, and prove that it is there."""
    keep_log("conductor")
    wanted = parse_sessions(sessions)
    labs = Lab.find(data, lab, rigs_file, is_alone=here)
    if stop:
        _stop(labs)
        return
    rules = find_rules(rigs_file)
    place = to or (rules.to if rules is not None else None)
    if place is None:
        raise ConfigError(
            "say where to: multirig collect --to FOLDER, or collect: {to: FOLDER} in multirig.yaml"
        )
    if not labs.rigs and Path(place).is_dir():
        place = str(Path(place).absolute())  # nobody else is told
    limit = parse_rate(rate) if rate is not None else (rules.rate if rules is not None else None)
    destination = open_destination(place)  # before anybody is told
    wish = Collect(
        to=place,
        sessions=wanted,
        rate=limit if isinstance(limit, float) else None,
        is_new=new_destination,
    )
    _Collecting(labs, destination, wish).run()


def _stop(labs: Lab) -> None:
    answers = asyncio.run(wish_of_rigs(labs.rigs, Collect(to=None)))
    for who, told in answers.items():
        render.say(f"{who}: {told if isinstance(told, MultirigError) else 'copies no more'}")


class _Collecting:
    """Collects what is here, and follows what the rigs do, until all is done."""

    def __init__(self, labs: Lab, destination: Destination, wish: Collect) -> None:
        self._labs, self._destination, self._wish = labs, destination, wish
        self._control = Control(wish.rate)
        self._own = Collector(labs.roots, self._control)
        self._parts = Parts()
        self._failure: MultirigError | None = None
        self._began = datetime.datetime.now()

    def run(self) -> None:
        """Do it, and say what came of it; exit code 1 where something is not there."""
        thread = threading.Thread(target=self._collect_own, daemon=True)
        thread.start()
        try:
            self._begin_rigs()
            self._follow(thread)
        except KeyboardInterrupt:
            self._control.end()
            thread.join(5.0)
            busy = sorted(self._parts.busy - {THIS_PC})
            if busy:
                render.say(f"{listed(busy)} copy on by themselves: multirig collect --stop ends that")
            raise typer.Exit(INTERRUPTED) from None
        finally:
            self._control.end()
        try:
            self._conclude()
        finally:
            self._destination.close()

    def _collect_own(self) -> None:
        try:
            if self._labs.roots:
                self._own.collect(self._destination, self._wish.sessions, is_new=self._wish.is_new)
        except Ended:
            pass
        except MultirigError as error:
            self._failure = error

    def _begin_rigs(self) -> None:
        answers = asyncio.run(wish_of_rigs(self._labs.rigs, self._wish))
        for who, told in answers.items():
            self._parts.take(who, told)
            if isinstance(told, Holdings):
                self._parts.busy.add(who)
            else:
                render.warn(f"{who}: {told}")

    def _follow(self, thread: threading.Thread) -> None:
        told_at = time.monotonic()
        with render.changing_line(progress_line(self._parts, self._began)) as live:
            while True:
                self._look(is_own_busy=thread.is_alive())
                line = progress_line(self._parts, self._began)
                if render.out.is_terminal:
                    live.update(line, refresh=True)
                elif time.monotonic() - told_at > PLAIN_EVERY:
                    told_at = time.monotonic()
                    render.say(line.plain)
                if not self._parts.busy:
                    break
                thread.join(LOOK_EVERY) if thread.is_alive() else time.sleep(LOOK_EVERY)
        reached = {who: uri for who, uri in self._labs.rigs.items() if who in self._parts.held}
        answers = asyncio.run(wish_of_rigs(reached, AskHoldings(sessions=self._wish.sessions)))
        for who, told in answers.items():
            self._parts.take(who, told)

    def _look(self, *, is_own_busy: bool) -> None:
        own = self._own.look(self._wish.sessions)
        trouble = "" if self._failure is None else str(self._failure)
        self._parts.take(
            THIS_PC, Holdings(sessions=tuple(own), is_busy=is_own_busy, trouble=trouble, total=len(own))
        )
        busy = {name: uri for name, uri in self._labs.rigs.items() if name in self._parts.busy}
        for who, uri in busy.items():
            left = [ref for ref, one in self._parts.held.get(who, {}).items() if is_left(one)]
            ask = AskHoldings(sessions=tuple(left[-MOST_ASKED:]) or self._wish.sessions)
            told = asyncio.run(wish_of_rigs({who: uri}, ask))[who]
            self._parts.take(who, told, is_part=True)

    def _conclude(self) -> None:
        parts = self._parts
        wanted: list[ExpRef] = list(self._wish.sessions) or parts.sessions
        left = [
            exp_ref
            for exp_ref in wanted
            if not parts.of(exp_ref) or any(is_left(one) for one in parts.of(exp_ref).values())
        ]
        done = [exp_ref for exp_ref in wanted if exp_ref not in left]
        collected = [
            exp_ref
            for exp_ref in done
            if any(one.state is Whereabouts.COLLECTED for one in parts.of(exp_ref).values())
        ]
        if left or parts.trouble:
            show_parts(parts, left)
        missing, unseen = list_missing(self._destination, self._labs.roots, collected)
        for exp_ref, names in missing.items():
            render.warn(f"{exp_ref} is not whole there: {listed(names)} of its verdict is missing")
        for exp_ref, why in unseen.items():
            render.warn(f"whether all that the verdict of {exp_ref} lists is there cannot be seen: {why}")
        collected = [one for one in collected if one not in missing and one not in unseen]
        if collected:
            render.done(
                f"{count(len(collected), 'session')} at {self._destination.text}, read back and whole"
            )
        unknown = [exp_ref for exp_ref in self._wish.sessions if not parts.of(exp_ref)]
        if unknown:
            render.warn(f"nobody who answers has {listed([str(one) for one in unknown])}")
        if not wanted and not parts.trouble:
            render.say("there are no sessions to collect")
        if left or missing or unseen or parts.trouble:
            raise typer.Exit(FAILED)
