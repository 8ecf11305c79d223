"""What of the sessions on this PC is to be collected, and how far it has come."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from multirig.collect.clearing import NotCleared, NotWhole, clear_part, is_same_folder
from multirig.collect.control import Control
from multirig.collect.copying import Outcome, copy_part
from multirig.collect.ledger import Ledger
from multirig.collect.parts import Part, find_sessions, look_at
from multirig.collect.places import Destination, DestinationError
from multirig.collect.receipts import Receipt, part_id, read_receipt, receipt_name, write_receipt
from multirig.collect.states import FileState, Known
from multirig.errors import MultirigError, why_not
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.holdings import Holding, Whereabouts
from multirig.record.recovery import find_leader
from multirig.state import state_folder
from multirig.wording import count

SETTLING = 600.0
"""Seconds after a recording for which checksums that are being made are waited for."""
FRESH = 10.0
"""Seconds for which it is believed that a part is not collected, as it was found."""
SETTLED = 120.0
"""Seconds for which it is believed that one is."""
LOCK_EVERY = 1.0
"""Seconds between two tries to be the one program on this PC that collects."""

log = logging.getLogger("multirig.collect")


class Collector:
    """Collects the sessions in folders of this PC; one program at a time works at each, others wait.

    Parameters
    ----------
    roots : sequence of pathlib.Path
        Folders ``…/<lab>/Subjects``; they need not exist yet.
    control : Control
        Ends it, and holds it up.
    ledger : Ledger, optional
        By default in the user's own register.
    """

    def __init__(
        self,
        roots: Sequence[Path],
        control: Control | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        self.control = control or Control()
        self._roots = tuple(roots)
        self._ledger = ledger or Ledger()
        self._lock = threading.Lock()
        self._now: dict[tuple[Path, ExpRef], Holding] = {}
        """What this program knows better than the disks: what stands in the way."""
        self._under_way: _Progress | None = None
        self._judged: dict[tuple[Path, ExpRef], tuple[float, Holding]] = {}
        """What was found on the disk a while ago, and when."""

    # -- what is where --------------------------------------------------------------------------------------

    def look(self, wanted: Collection[ExpRef] = ()) -> list[Holding]:
        """Return how far each session on this PC has come, the newest first; it blocks.

        Parameters
        ----------
        wanted : collection of ExpRef
            Only these; empty: all.
        """
        found: list[Holding] = []
        only = frozenset(wanted)
        for root in self._roots:
            for exp_ref in _sessions(root, only):
                with self._lock:
                    now = self._now.get((root, exp_ref))
                    under_way = self._under_way
                if under_way is not None and under_way.is_of(root, exp_ref):
                    now = under_way.tell()
                found.append(now or self._recall(root, exp_ref))
        return sorted(
            found, key=lambda one: (one.exp_ref.date, one.exp_ref.sequence, one.exp_ref.subject), reverse=True
        )

    def _recall(self, root: Path, exp_ref: ExpRef) -> Holding:
        """Return what was found of a part a moment ago, or look: whoever follows a copy asks each second."""
        at, holding = self._judged.get((root, exp_ref), (float("-inf"), None))
        if holding is not None:
            lasts = FRESH if holding.state in (Whereabouts.HERE, Whereabouts.STUCK) else SETTLED
            if time.monotonic() - at < lasts:
                return holding
        return self._judge(root, exp_ref)

    def _judge(self, root: Path, exp_ref: ExpRef) -> Holding:
        """Look at a part, and keep in mind what was found."""
        holding = self._look_at(root, exp_ref)
        self._judged[(root, exp_ref)] = (time.monotonic(), holding)
        return holding

    def _look_at(self, root: Path, exp_ref: ExpRef) -> Holding:
        """Return what the disk of this PC, and the ledger, say of a part."""
        part = look_at(root, exp_ref)
        plain = _plain(part)
        if part.is_iblrigs:
            why = "iblrig's transfer_data has copied it: it is cleared by iblrig's own means"
            return replace(plain, state=Whereabouts.IBLRIG, why=why)
        receipt = read_receipt(part.folder, part_id(root))
        if receipt is not None:
            plain = replace(plain, to=receipt.destination, at=receipt.at)
            has_news = _has_news(part, receipt)
            if receipt.cleared_at is not None and not has_news:
                total = sum(one.bytes for one in receipt.files)
                return replace(
                    plain,
                    state=Whereabouts.CLEARED,
                    files=len(receipt.files),
                    bytes=total,
                    done=total,
                    at=receipt.cleared_at,
                )
            if not has_news:
                return replace(plain, state=Whereabouts.COLLECTED, done=plain.bytes)
        mark = receipt.mark if receipt is not None else None
        return _tell(plain, self._ledger.read_newest(root, exp_ref, mark))

    # -- collecting -----------------------------------------------------------------------------------------

    def collect(
        self, destination: Destination, wanted: Collection[ExpRef] = (), *, is_new: bool = False
    ) -> list[Holding]:
        """Bring sessions to a destination, the oldest first; return how far those have come; it blocks.

        Parameters
        ----------
        destination : Destination
            It is opened.
        wanted : collection of ExpRef
            Only these; empty: all that are over.
        is_new : bool
            Whether the destination is known to be another one than before.

        Raises
        ------
        DestinationAway
            It cannot be used.
        Ended
            It was told to end.
        MultirigError
            A folder of this PC cannot be read.
        """
        done: list[Holding] = []
        _refuse_own(destination, self._roots)
        mark = destination.open(None if is_new else self._mark_of(destination))
        _refuse_same(destination, self._roots)
        self._ledger.note_destination(destination.text, mark)
        for root in self._roots:
            with self._alone(root):
                for exp_ref in _sessions(root, wanted):
                    self.control.may_go_on()
                    if (holding := self._collect(root, exp_ref, destination, mark)) is not None:
                        done.append(holding)
        return done

    def clear(self, destination: Destination, wanted: Collection[ExpRef]) -> list[Holding]:
        """Remove collected sessions from this PC, each after it was proved once more; return what came of it.

        Parameters
        ----------
        destination : Destination
            Where they were collected; it is opened.
        wanted : collection of ExpRef
            Which ones.

        Raises
        ------
        DestinationAway
            It cannot be used.
        Ended
            It was told to end.
        MultirigError
            A folder of this PC cannot be read.
        """
        done: list[Holding] = []
        if (known := self._mark_of(destination)) is None:
            return done  # nothing was ever brought there from here
        mark = destination.open(known)
        for root in self._roots:
            with self._alone(root):
                for exp_ref in _sessions(root, wanted) if wanted else ():
                    self.control.may_go_on()
                    if (holding := self._clear(root, exp_ref, destination, mark)) is not None:
                        done.append(holding)
        return done

    def _mark_of(self, destination: Destination) -> str | None:
        """Return by which mark a destination is known, from the receipts where the ledger was lost."""
        if (mark := self._ledger.mark_of(destination.text)) is not None:
            return mark
        found: list[Receipt] = []
        for root in self._roots:
            for exp_ref in _sessions(root, ()):
                receipt = read_receipt(root.joinpath(*exp_ref.folder_parts()), part_id(root))
                if receipt is not None and receipt.destination == destination.text:
                    found.append(receipt)
        return max(found, key=lambda one: one.at).mark if found else None

    def _clear(self, root: Path, exp_ref: ExpRef, destination: Destination, mark: str) -> Holding | None:
        part = look_at(root, exp_ref)
        receipt = read_receipt(part.folder, part_id(root))
        if receipt is None or receipt.cleared_at is not None:
            self._judge(root, exp_ref)  # another program on this PC may have cleared it
            return None
        try:
            clear_part(part, receipt, destination, mark, self.control)
        except NotWhole as error:
            self._take_back(part, receipt, error.path)
            return self._say(root, replace(self._judge(root, exp_ref), why=f"not cleared: {error}"))
        except (NotCleared, DestinationError) as error:
            return self._say(root, replace(self._judge(root, exp_ref), why=f"not cleared: {error}"))
        return self._settle(root, exp_ref)

    def _take_back(self, part: Part, receipt: Receipt, path: str) -> None:
        """Say of a file no more that it was collected: it is not there now, and is to be collected again."""
        [lost] = [one for one in receipt.files if one.path == path]
        known = Known(state=FileState.FAILED, bytes=lost.bytes, why="it is not whole there any more")
        self._ledger.write(part.root, part.exp_ref, receipt.mark, {path: known})
        try:
            write_receipt(
                part.folder, replace(receipt, files=tuple(one for one in receipt.files if one != lost))
            )
        except OSError as error:
            log.warning("%s: the receipt cannot be written: %s", part.folder, why_not(error))

    def _collect(self, root: Path, exp_ref: ExpRef, destination: Destination, mark: str) -> Holding | None:
        part = look_at(root, exp_ref)
        receipt = read_receipt(part.folder, part_id(root))
        has_news = receipt is None or _has_news(part, receipt)
        is_cleared = receipt is not None and receipt.cleared_at is not None
        if not part.items or part.is_iblrigs or (is_cleared and not has_news):
            return None
        if receipt is not None and receipt.mark == mark and not has_news:
            return self._settle(root, exp_ref)
        if (why := _why_not_yet(part)) is not None:
            return self._say(root, replace(_plain(part), why=why))
        under_way = _Progress(part, destination, self.control)
        with self._lock:
            self._under_way = under_way
            self._now.pop((root, exp_ref), None)
        try:
            outcome = copy_part(part, destination, mark, self._ledger, self.control, under_way.take)
        finally:
            with self._lock:
                self._under_way = None
        return self._conclude(part, destination, outcome)

    def _conclude(self, part: Part, destination: Destination, outcome: Outcome) -> Holding:
        plain = replace(_plain(part), to=destination.text)
        if outcome.is_collected:
            return self._settle(part.root, part.exp_ref)
        told = _tell(plain, outcome.files)
        if outcome.trouble:
            told = replace(told, why=outcome.trouble)
        return self._say(part.root, told)

    def _settle(self, root: Path, exp_ref: ExpRef) -> Holding:
        """Nothing stands in the way of a part any more: return what its disk says."""
        with self._lock:
            self._now.pop((root, exp_ref), None)
        return self._judge(root, exp_ref)

    def _say(self, root: Path, holding: Holding) -> Holding:
        with self._lock:
            self._now[(root, holding.exp_ref)] = holding
        return holding

    @contextlib.contextmanager
    def _alone(self, root: Path) -> Iterator[None]:
        """Let no other program of this user collect from a folder meanwhile; wait for one that does."""
        path = state_folder() / "collect" / f"{part_id(root)}.lock"
        lock = FileLock(path, timeout=0)
        while True:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                lock.acquire()
                break
            except Timeout:
                self.control.wait(LOCK_EVERY)
                self.control.may_go_on()
            except OSError as error:
                raise MultirigError(f"cannot lock {path}: {why_not(error)}") from None
        try:
            yield
        finally:
            lock.release()


class _Progress:
    """How far a part is that is copied now."""

    def __init__(self, part: Part, destination: Destination, control: Control) -> None:
        self._part, self._control = part, control
        self._holding = replace(_plain(part), state=Whereabouts.UNDER_WAY, to=destination.text)
        self._done = 0
        self._began, self._moved = time.monotonic(), control.moved

    def is_of(self, root: Path, exp_ref: ExpRef) -> bool:
        """Whether it is of that part."""
        return (self._part.root, self._part.exp_ref) == (root, exp_ref)

    def take(self, name: str, known: Known) -> None:
        """A file has come to an end."""
        if known.state.is_there:
            self._done += known.bytes

    def tell(self) -> Holding:
        """Return how far it is."""
        moved = self._control.moved - self._moved
        seconds = time.monotonic() - self._began
        whole = self._holding.bytes
        done = max(self._done, min(moved, whole))
        why = "waits while this PC records" if self._control.waits else ""
        rate = moved / seconds if seconds > 1 and moved else None
        return replace(self._holding, done=min(done, whole), rate=rate, why=why)


def _sessions(root: Path, wanted: Collection[ExpRef]) -> Iterator[ExpRef]:
    try:
        for exp_ref in find_sessions(root):
            if not wanted or exp_ref in wanted:
                yield exp_ref
    except FileNotFoundError:
        return
    except OSError as error:
        raise MultirigError(f"{root} cannot be read: {why_not(error)}") from None


def _plain(part: Part) -> Holding:
    return Holding(
        exp_ref=part.exp_ref,
        state=Whereabouts.HERE,
        files=len(part.items),
        bytes=part.bytes,
        rigs=part.rigs,
    )


def _has_news(part: Part, receipt: Receipt) -> bool:
    """Whether anything has come or changed since the part was collected."""
    try:
        collected_at = (part.folder / receipt_name(receipt.part)).stat().st_mtime
    except OSError:
        return True
    if part.problems or part.written_at > collected_at:
        return True
    proved = {one.path: one.bytes for one in receipt.files}
    return any(one.here is not None and proved.get(one.name) != one.here.bytes for one in part.items)


def _why_not_yet(part: Part) -> str | None:
    """Return why a part is not to be copied now; None: it is."""
    if part.problems:
        return part.problems[0]
    if part.is_leaders and (leader := find_leader(part.folder)) is not None:
        return f"the session goes on: {leader} leads it"
    if any(one.is_listed and one.blake2b is None for one in part.items):
        age = time.time() - part.written_at
        if age < SETTLING:
            return "its checksums are still being made"
    return None


def _tell(plain: Holding, known: Mapping[str, Known]) -> Holding:
    """Return how far a part is by what is known of its files."""
    done = sum(one.bytes for one in known.values() if one.state.is_there)
    wrong = {name: one for name, one in known.items() if one.why and not one.state.is_there}
    stuck = {name: one for name, one in wrong.items() if one.state.needs_help}
    told = replace(plain, done=min(done, plain.bytes))
    if not wrong:
        return told
    name, first = next(iter((stuck or wrong).items()))
    more = f" (and {count(len(wrong) - 1, 'more file')})" if len(wrong) > 1 else ""
    state = Whereabouts.STUCK if stuck else Whereabouts.HERE
    action = _ACTIONS.get(first.state, "")
    return replace(told, state=state, why=f"{name}: {first.why}{more}", action=action)


_ACTIONS = {
    FileState.CHANGED: "restore the file, or move it out of the session folder, and collect again",
    FileState.MISSING: "put the file back, and collect again",
    FileState.COLLIDES: "look at both files, rename the one at the destination, and collect again",
}


def _refuse_own(destination: Destination, roots: Sequence[Path]) -> None:
    """Refuse a destination that is, or lies in, a folder of this PC's own sessions. Raises MultirigError."""
    if destination.root is None:
        return
    there = destination.root.resolve()
    for root in roots:
        own = root.parent.parent.resolve()
        if there == own or there.is_relative_to(root.resolve()):
            raise MultirigError(_OWN.format(destination=destination.text, own=own))


def _refuse_same(destination: Destination, roots: Sequence[Path]) -> None:
    """Refuse a destination that is such a folder by a way that no path shows. Raises MultirigError."""
    for root in roots:
        prefix = f"{root.parent.name}/{root.name}"
        with contextlib.suppress(OSError):
            if root.is_dir() and is_same_folder(root, prefix, destination):
                raise MultirigError(_OWN.format(destination=destination.text, own=root.parent.parent))


_OWN = "{destination} is where this PC records ({own}): choose a folder on another disk"
