"""What ``multirig run`` does around a session: it warns before, and collects after, where that is wanted."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from multirig.cli import render
from multirig.conductor.roster import find_rigs_file
from multirig.config import CollectRules, Uri, load_collect_rules
from multirig.config.collect import AFTER_SESSION
from multirig.errors import MultirigError
from multirig.keyring.door import Access
from multirig.keyring.saying import say_leading_access
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.holdings import Collect, Holding, Holdings, Whereabouts
from multirig.reading.places import read_reference
from multirig.wording import listed

TELL_LIMIT = 15.0
"""Seconds that a rig may take to answer that it was told."""
OWN_LIMIT = 120.0
"""Seconds that the part of this PC may take: whoever sits at a terminal wants to begin the next session."""
END_LIMIT = 5.0
"""Seconds in which a copy ends that was told to."""


def warn_of_access(access: Access) -> None:
    """Say what is the matter with this PC's key."""
    for line in say_leading_access(access):
        render.warn(line.text)


class AfterSession:
    """Collects what a session has left, where ``multirig.yaml`` says so.

    Parameters
    ----------
    rules : CollectRules or None
        Of that file; where it says another time than after a session, nothing is done.
    """

    def __init__(self, rules: CollectRules | None) -> None:
        self._rules = rules if rules is not None and rules.when == AFTER_SESSION else None

    @classmethod
    def load(cls, rigs_file: Path | None = None) -> AfterSession:
        """Read what the file beside the rigs file says. Raises ConfigError."""
        return cls(load_collect_rules(find_rigs_file(rigs_file)))

    def collect(self, folder: Path | None, rigs: Mapping[str, Uri]) -> None:
        """Collect the part of this PC, and tell the rigs to; they are not waited for.

        Parameters
        ----------
        folder : pathlib.Path or None
            The session folder on this PC.
        rigs : mapping of str to Uri
            Who took part.
        """
        exp_ref = None if folder is None else read_reference(folder)
        if self._rules is None or folder is None or exp_ref is None:
            return
        from multirig.conductor.collecting import wish_of_rigs  # not for those who do not collect

        rules, own = self._rules, _OwnPart(folder, exp_ref, self._rules)
        try:
            own.start()
            answers = asyncio.run(wish_of_rigs(rigs, Collect(to=rules.to, rate=rules.rate), TELL_LIMIT))
            own.give(OWN_LIMIT)
        except KeyboardInterrupt:
            own.end()
            render.say("it is not collected to the end: multirig collect goes on from there")
            return
        except (MultirigError, OSError) as error:
            own.end()
            render.warn(f"the rigs could not be told to collect: {error}")
            return
        for who, told in answers.items():
            if isinstance(told, MultirigError):
                render.warn(f"{who} could not be told to collect: {told}")
        if (why := own.why_not()) is not None:
            render.warn(f"this PC's part is not collected to {rules.to}: {why}")
        said = [f"this PC's part is at {rules.to}, read back and whole"] if why is None else []
        if told_to := [who for who, told in answers.items() if isinstance(told, Holdings)]:
            copy = "copies on by itself" if len(told_to) == 1 else "copy on by themselves"
            said.append(f"{listed(told_to)} {copy} (multirig history --where)")
        if said:
            render.say("; ".join(said))

    def collect_of(self, task: Any) -> None:
        """Collect what a task has left, with or without rigs; see `collect`."""
        if self._rules is not None:
            from multirig.ibl.chosen_rigs import rigs_of

            self.collect(folder_of(task), rigs_of(task))


def folder_of(task: Any) -> Path | None:
    """Return the session folder of a task; None: it has none."""
    paths = getattr(task, "paths", None)
    folder = paths.get("SESSION_FOLDER") if paths is not None else None
    return None if folder is None else Path(folder)


class _OwnPart(threading.Thread):
    """Collects one session from one folder ``…/Subjects``."""

    def __init__(self, folder: Path, exp_ref: ExpRef, rules: CollectRules) -> None:
        from multirig.collect.control import Control

        super().__init__(name="multirig collect", daemon=True)
        self._control = Control(rules.rate)
        self._root, self._exp_ref, self._to = folder.absolute().parents[2], exp_ref, rules.to
        self._failure = ""
        self._held: list[Holding] = []

    def run(self) -> None:
        """Copy it, and prove that it is there."""
        from multirig.collect.collector import Collector
        from multirig.collect.control import Ended
        from multirig.collect.places import open_destination

        try:
            destination = open_destination(self._to)
            try:
                collector = Collector([self._root], self._control)
                collector.collect(destination, [self._exp_ref])
                self._held = collector.look([self._exp_ref])
            finally:
                destination.close()
        except Ended:
            pass
        except (MultirigError, OSError) as error:
            self._failure = str(error)

    def give(self, seconds: float) -> None:
        """Wait for it so long; what is not copied then is left for another time."""
        self.join(seconds)
        if self.is_alive():
            self._failure = "it takes long; multirig collect goes on from there"
            self.end()

    def end(self) -> None:
        """Copy no more."""
        self._control.end()
        self.join(END_LIMIT)

    def why_not(self) -> str | None:
        """Return why it is not there; None: it is."""
        left = [one for one in self._held if one.state is not Whereabouts.COLLECTED]
        if self._failure or not left:
            return self._failure or (None if self._held else "it was ended")
        return "; ".join(filter(None, (left[0].why or f"it is {left[0].state}", left[0].action)))
