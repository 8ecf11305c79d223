"""What a person may do from a page: whatever changes something goes through here, and says who did it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from multirig.collect.ledger import rebuild_ledger
from multirig.conductor.left import FoundRig
from multirig.dashboard.console import Console
from multirig.dashboard.door.people import Person
from multirig.dashboard.holdings import Doomed
from multirig.dashboard.view.start import Draft
from multirig.errors import MultirigError
from multirig.lifecycle.policy import Role
from multirig.protocol.exp_ref import ExpRef

NOBODY = "somebody without a name"
"""What the log calls whoever came in by the one password, or sits at this PC."""


class Operator:
    """The one who operates the console at a page; whoever only looks has none.

    Each method raises a `MultirigError` with one line where it cannot be done, or where that person may do
    nothing any more: an account can be removed, and a session can end, while its page is open.

    Parameters
    ----------
    console : Console
        What is operated.
    who : callable
        Returns who sits before the page now; None: nobody who may be there.
    """

    def __init__(self, console: Console, who: Callable[[], Person | None]) -> None:
        self._console = console
        self._who = who

    # -- the session --------------------------------------------------------------------------------------

    async def start(self, draft: Draft) -> None:
        """Begin what is filled in; see `Console.start`."""
        by = self._name()
        await self._console.start(draft, by=by)

    async def recover(self, folder: str, *, ends: bool = False) -> None:
        """Lead a session on whose program has died, or end it; see `Console.recover`."""
        by = self._name()
        await self._console.recover(folder, ends=ends, by=by)

    async def stop(self) -> None:
        """End the recording in good order."""
        by = self._name()
        await self._console.session.stop(by=by)

    async def interrupt(self, why: str) -> None:
        """End everything at once, and say why."""
        by = self._name()
        await self._console.session.interrupt(why, by=by)

    async def mark(self, text: str) -> None:
        """Set a marker, for now."""
        by = self._name()
        await self._console.session.mark(text, by=by)

    async def dismiss(self) -> None:
        """Take note of the end of a session."""
        self._name()
        await self._console.dismiss()

    # -- rigs between sessions ----------------------------------------------------------------------------

    async def check(self, names: Sequence[str] = (), minutes: float | None = None) -> None:
        """Look at some PCs, or at all, for a session of so many minutes."""
        self._name()
        await self._console.check(names, minutes)

    def forget_findings(self) -> None:
        """Show no more what the last look has found."""
        self._name()
        self._console.upkeep.forget_findings()

    async def ping(self, name: str) -> str:
        """Ask a rig now, and return in one line how that went."""
        self._name()
        return await self._console.rigs.ping(name)

    async def clean_up(self, name: str) -> None:
        """Release a rig that an earlier session has left as it was."""
        self._name()
        await self._console.upkeep.clean_up(name)

    async def hand_over(self, name: str, asker: str, allows: bool) -> None:  # noqa: FBT001  as a page says it
        """Say whether a rig of this PC may be taken over by the PC that wants it."""
        by = self._name()
        await self._console.rigs.decide(name, asker, allows=allows, by=by)

    async def look_at(self, name: str) -> FoundRig:
        """Ask a rig what it records, and for whom."""
        self._name()
        return await self._console.upkeep.look_at(name)

    async def stop_rig(self, found: FoundRig) -> None:
        """End what a rig records, whoever began it, and release it."""
        self._name()
        await self._console.upkeep.stop(found)

    # -- the data -----------------------------------------------------------------------------------------

    async def collect(self, to: str | None = None, sessions: Sequence[ExpRef] = ()) -> None:
        """Let all PCs copy sessions to a destination; see `LabHoldings.collect`."""
        by = self._name()
        await self._console.holdings.collect(to, sessions, by=by or NOBODY)

    async def stop_collecting(self) -> None:
        """Let all PCs copy no more."""
        by = self._name()
        await self._console.holdings.stop(by=by or NOBODY)

    async def clear(self, doomed: Doomed) -> None:
        """Let PCs remove what is proved once more to be at its destination."""
        by = self._name()
        await self._console.holdings.clear(doomed, by=by or NOBODY)

    # -- lists --------------------------------------------------------------------------------------------

    async def enter_rig(
        self, name: str, uri: str, role: str = Role.EXPECTED.value, *, replaces: bool = False
    ) -> None:
        """Enter a rig in the rigs file, or give it another address and role."""
        self._name()
        await self._console.rigs.add(name, uri, role, replaces=replaces)

    async def remove_rig(self, name: str) -> None:
        """Take a rig out of the rigs file."""
        self._name()
        await self._console.rigs.remove(name)

    def rebuild_catalogue(self) -> None:
        """Make the index of sessions anew; it blocks."""
        self._name()
        self._console.past.catalogue.rebuild()
        rebuild_ledger(self._console.past.catalogue.roots)

    # -- inside -------------------------------------------------------------------------------------------

    def _name(self) -> str | None:
        """Return what the journal is to call this person; None: there is no name.

        Raises
        ------
        MultirigError
            They may do nothing now.
        """
        person = self._who()
        if person is None:
            raise MultirigError("you are logged out: log in again, then try once more")
        if not person.operates:
            raise MultirigError(
                f"{person.name} may look, and change nothing here: ask who set up this console"
            )
        return person.name
