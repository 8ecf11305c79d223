"""One part of a session, brought to a destination: copied, read back, compared, and named.

Every file goes the same way, many small ones together: to a name of its own beside its place, onto the far
disk, back from there for its checksum, and only then under its name, where nothing is ever overwritten. What
is cut off at any point is found again by what lies there.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import logging
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from multirig.collect.control import Control, Ended
from multirig.collect.hashing import BLAKE2B, Hasher
from multirig.collect.ledger import Ledger
from multirig.collect.parts import Item, Part
from multirig.collect.places import (
    Destination,
    DestinationAway,
    DestinationError,
    DestinationFull,
    NameTaken,
    catch,
)
from multirig.collect.places.marks import check_mark, read_mark
from multirig.collect.receipts import (
    Proved,
    Receipt,
    part_id,
    read_receipt,
    receipt_name,
    to_bytes,
    write_receipt,
)
from multirig.collect.states import (
    Compare,
    Copy,
    FileState,
    Here,
    Known,
    Settle,
    There,
    decide,
    differs,
    is_replaced,
)
from multirig.errors import why_not
from multirig.record.spelling import find_file, unspell
from multirig.state import state_folder

WORKERS = 4
"""Files, or bundles of small ones, that are under way at once: one is copied while another is read back."""
SMALL = 4 << 20
"""Bytes of a file that is done together with others."""
BUNDLE = 64 << 20
"""Bytes of such a bundle, at most."""
EARLIER = "_multirig_earlier"
"""Folder in a session at a destination for what was collected, and written anew since: a log, a verdict."""
TRIES = 2
"""How often a file is copied that comes back different: a bit that flips on the way does so once."""
LONGEST_NAME = 255
"""Bytes that the name of a file may have."""
CHANGED = "it was changed while it was copied; it is tried again later"

log = logging.getLogger("multirig.collect")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What has become of a part of a session."""

    files: Mapping[str, Known]
    """By name; all of them."""
    trouble: str = ""
    """What stopped all of it: the destination is away, or full."""

    @property
    def is_collected(self) -> bool:
        """Whether all of it is there and whole."""
        return not self.trouble and all(one.state.is_there for one in self.files.values())


def copy_part(
    part: Part,
    destination: Destination,
    mark: str,
    ledger: Ledger,
    control: Control,
    on_news: Callable[[str, Known], None] = lambda name, known: None,
) -> Outcome:
    """Bring a part of a session to a destination.

    Parameters
    ----------
    part : Part
        What is here.
    destination : Destination
        Open.
    mark : str
        By which it is known.
    ledger : Ledger
        Notes what becomes of each file.
    control : Control
        Asked before each piece of work.
    on_news : callable
        Is told of each file that has come to an end; by any thread.

    Raises
    ------
    Ended
        It was told to end; what is there goes on from there another time.
    """
    return _Copying(part, destination, mark, ledger, control, on_news).run()


@dataclass(frozen=True, slots=True)
class _Job:
    """A file that is to be copied, or compared with what lies there."""

    item: Item
    here: Here
    step: Copy | Compare
    before: Known | None = None
    """What we have brought there before under its name; None: nothing is known."""

    @property
    def is_resumed(self) -> bool:
        """Whether it goes on from what is there of it."""
        return isinstance(self.step, Copy) and self.step.start > 0

    @property
    def is_small(self) -> bool:
        return self.here.bytes <= SMALL


_Sent: TypeAlias = tuple[_Job, Mapping[str, str]]
"""A file that was sent, or is to be compared, with its checksums as it is here."""


class _Copying:
    def __init__(
        self,
        part: Part,
        destination: Destination,
        mark: str,
        ledger: Ledger,
        control: Control,
        on_news: Callable[[str, Known], None],
    ) -> None:
        self._part, self._mark = part, mark
        self._prefix, self._folder = part.prefix, part.folder
        self._there, self._ledger, self._control, self._on_news = destination, ledger, control, on_news
        # users of one PC may copy the same folder, each with a state of their own
        user = hashlib.blake2b(str(state_folder()).encode(errors="surrogatepass"), digest_size=2).hexdigest()
        self._ending = f".{part_id(part.root)}-{user}.part"
        self._lock = threading.Lock()
        self._files: dict[str, Known] = {}
        self._before: tuple[Proved, ...] = ()
        """What a receipt says that was proved there before."""
        self._trouble = ""

    def run(self) -> Outcome:
        known = self._recall()
        try:
            there = self._there.sizes(self._prefix)
        except DestinationError as error:
            return Outcome(files=known, trouble=str(error))
        jobs, news = [], {}
        for item in self._part.items:
            target = self._part.target(item.name)
            found = There(bytes=there.get(target), part=there.get(self._begun(target)))
            before = known.get(item.name)
            match decide(before, item.here, found):
                case Settle(state=state, why=why):
                    kept = before if before is not None and before.blake2b is not None else None
                    news[item.name] = _settled(item, kept, state, why)
                case (Compare() | Copy()) as step:
                    if item.here is not None:
                        old = before if is_replaced(before, item.here, found) else None
                        jobs.append(_Job(item, item.here, step, old))
        self._note(news)
        self._remove_leftovers(there, jobs)
        self._work(jobs)
        for job in jobs:  # that were not come to
            self._files.setdefault(job.item.name, _remember(job, FileState.WAITING, self._trouble))
        self._note(self._find_changed())
        outcome = Outcome(files=self._files, trouble=self._trouble)
        if outcome.is_collected and outcome.files:
            try:
                check_mark(read_mark(self._there), self._mark, self._there.text)
                self._leave_receipts(outcome, there)
            except DestinationError as error:
                return Outcome(files=self._files, trouble=f"its receipt could not be left there: {error}")
        return outcome

    def _recall(self) -> dict[str, Known]:
        """Return what is known of each file, from the receipt where the ledger knows nothing."""
        receipt = read_receipt(self._folder, part_id(self._part.root))
        self._before = receipt.files if receipt is not None and receipt.mark == self._mark else ()
        known = {
            one.path: Known(state=FileState.COLLECTED, bytes=one.bytes, blake2b=one.blake2b)
            for one in self._before
        }
        for name, told in self._ledger.read(self._part.root, self._part.exp_ref, self._mark).items():
            was = known.get(name)
            is_less = told.blake2b is None and was is not None
            known[name] = replace(told, bytes=was.bytes, blake2b=was.blake2b) if is_less and was else told
        return known

    def _remove_leftovers(self, there: Mapping[str, int], jobs: Sequence[_Job]) -> None:
        """Remove what we have begun there and do not go on with: it has its name, or is not here any more."""
        wanted = {self._begun(self._part.target(job.item.name)) for job in jobs if job.is_resumed}
        for name in there:
            if name.endswith(self._ending) and name not in wanted:
                with contextlib.suppress(DestinationError):
                    self._there.remove(f"{self._prefix}/{name}")

    def _find_changed(self) -> dict[str, Known]:
        """Return the files that were written to since they were looked at: there is an older one."""
        changed = {}
        for item in self._part.items:
            if item.here is None or not self._files[item.name].state.is_there:
                continue
            try:
                now = find_file(self._folder, item.name).stat()
            except OSError:
                continue  # it is there, and was removed here
            if (now.st_size, now.st_mtime_ns) != (item.here.bytes, item.here.changed_at):
                was = self._files[item.name]
                changed[item.name] = replace(was, state=FileState.FAILED, changed_at=0, why=CHANGED)
        return changed

    # -- the work -------------------------------------------------------------------------------------------

    def _work(self, jobs: Sequence[_Job]) -> None:
        with ThreadPoolExecutor(WORKERS, thread_name_prefix="multirig copy") as pool:
            running = [pool.submit(self._do_all, bundle) for bundle in _bundle(jobs, self._there.many)]
        for one in running:
            one.result()  # raises Ended

    def _do_all(self, jobs: Sequence[_Job]) -> None:
        """Bring files there; what stops all of them stops those that follow, too."""
        if self._trouble:
            return
        try:
            for attempt in range(TRIES):
                again = self._try_all(jobs, is_last=attempt == TRIES - 1)
                if not again:
                    break
                jobs = again
        except (DestinationAway, DestinationFull) as error:
            with self._lock:
                self._trouble = self._trouble or str(error)

    def _try_all(self, jobs: Sequence[_Job], *, is_last: bool) -> list[_Job]:
        """Copy, settle, compare and name; return those that are to be copied once more."""
        news: dict[str, Known] = {}
        again: list[_Job] = []
        try:
            sent = self._send_all(jobs, news)
            for job, result in self._finish_all(self._settle(sent, news)):
                is_copy = isinstance(job.step, Copy)
                if result.state is FileState.FAILED and is_copy and not is_last:
                    log.warning("%s: %s; it is copied once more", job.item.name, result.why)
                    step = Copy(start=0, replaces=isinstance(job.step, Copy) and job.step.replaces)
                    again.append(_Job(job.item, job.here, step, job.before))
                elif result.state is FileState.COLLIDES and not is_copy and job.before and not is_last:
                    # it was collected before and has grown since, or been written anew
                    again.append(_Job(job.item, job.here, Copy(start=0, replaces=True), job.before))
                else:
                    news[job.item.name] = result
        finally:
            self._note(news)
        return again

    def _send_all(self, jobs: Sequence[_Job], news: dict[str, Known]) -> list[_Sent]:
        """Copy files, small ones together; return what was sent, with its checksums as it is here."""
        self._control.may_go_on()
        together = [one for one in jobs if isinstance(one.step, Copy) and not one.step.start and one.is_small]
        alone = [one for one in jobs if one not in together]
        files = [(find_file(self._folder, one.item.name), self._name_of(one)) for one in together]
        results = list(zip(together, self._there.send_many(files, self._control), strict=True))
        results += [(one, catch(self._send, one)) for one in alone]
        sent = []
        for job, result in results:
            if isinstance(result, Exception):
                news[job.item.name] = _failed(job, _why(result))
            else:
                sent.append((job, result))
        return sent

    def _settle(self, sent: Sequence[_Sent], news: dict[str, Known]) -> Sequence[_Sent]:
        """See to it that what was sent is on the far disk; return what can be read back."""
        try:
            self._there.settle([self._name_of(job) for job, _ in sent if isinstance(job.step, Copy)])
        except (DestinationAway, DestinationFull):
            raise
        except DestinationError as error:
            news |= {job.item.name: _failed(job, str(error)) for job, _ in sent}
            return ()
        return sent

    def _send(self, job: _Job) -> Mapping[str, str]:
        """Copy a file to a name of its own; return its checksums as it is here."""
        source = find_file(self._folder, job.item.name)
        if isinstance(job.step, Compare):
            return digest(source, self._there.hashes, self._control)
        return self._there.send(source, self._name_of(job), job.step.start, self._control)

    def _finish_all(self, sent: Sequence[_Sent]) -> Iterator[tuple[_Job, Known]]:
        """Read files back, and name those that are what they are here; yield what each is then."""
        looked_at = [(one, catch(self._object, one[0])) for one in sent]
        yield from ((job, result) for (job, _), result in looked_at if isinstance(result, Known))
        for (job, _), error in looked_at:
            if isinstance(error, Exception):
                yield job, _failed(job, _why(error))
        left = [one for one, result in looked_at if result is None]
        asked = [(self._name_of(job), digests, job.here.bytes) for job, digests in left]
        proved = []
        for (job, digests), is_same in zip(left, self._there.compare_many(asked, self._control), strict=True):
            if isinstance(is_same, Exception):
                yield job, _failed(job, _why(is_same))
            elif (wrong := _judge(job, digests, is_same=is_same)) is not None:
                yield job, self._refuse(job, wrong)
            elif isinstance(job.step, Copy):
                proved.append((job, digests))
            else:
                yield job, _collected(job, digests)
        yield from self._name_all(proved)

    def _object(self, job: _Job) -> Known | None:
        """Return what a file is that need not be read back; None: it is to be. Raises OSError."""
        source = find_file(self._folder, job.item.name)
        now = source.stat()
        if (now.st_size, now.st_mtime_ns) != (job.here.bytes, job.here.changed_at):
            return _failed(job, CHANGED)
        if isinstance(job.step, Compare) and self._there.is_here(self._name_of(job), source):
            return _remember(job, FileState.COLLIDES, "a link to it lies there, and no copy")
        return None

    def _name_all(self, proved: Sequence[_Sent]) -> Iterator[tuple[_Job, Known]]:
        """Give files that were proved their names; yield what each is then."""
        replaced = [one for one in proved if isinstance(one[0].step, Copy) and one[0].step.replaces]
        plain = [one for one in proved if one not in replaced]
        names = [(self._name_of(job), self._path(job.item.name)) for job, _ in plain]
        results = list(zip(plain, self._there.put_many(names), strict=True))
        results += [(one, catch(self._replace, one[0])) for one in replaced]
        for (job, digests), error in results:
            if isinstance(error, NameTaken):
                taken = catch(self._mind_taken, job, digests)
                if isinstance(taken, Exception):
                    yield job, _failed(job, _why(taken))
                else:
                    yield job, _collected(job, digests) if taken is None else self._refuse(job, taken)
            elif error is not None:
                yield job, _failed(job, _why(error))
            else:
                yield job, _collected(job, digests)

    def _refuse(self, job: _Job, wrong: Settle) -> Known:
        """Take away what was sent and is not to stay; return what the file is."""
        if isinstance(job.step, Copy):
            self._there.remove(self._name_of(job))
        return _remember(job, wrong.state, wrong.why)

    def _mind_taken(self, job: _Job, digests: Mapping[str, str]) -> Settle | None:
        """Return what stands in the way where a name is taken; None: another program has brought the same."""
        final = self._path(job.item.name)
        size = self._there.size(final)
        if size == job.here.bytes:
            self._there.settle([final])
            if self._there.compare(final, digests, size, self._control):
                self._there.remove(self._name_of(job))
                return None
        return Settle(state=FileState.COLLIDES, why="another file of that name has come there meanwhile")

    def _replace(self, job: _Job) -> None:
        """Give a file the name of ours of before, which is put aside."""
        self._put_aside(job)
        self._there.put(self._name_of(job), self._path(job.item.name))

    def _put_aside(self, job: _Job) -> None:
        """Keep what we have brought there before under another name. Raises NameTaken: it is not ours."""
        old = self._path(job.item.name)
        size = self._there.size(old)
        if size is None:
            return
        if job.before is None or not self._is_same(old, job.before.blake2b or "", size):
            raise NameTaken(f"{old} is not what was brought there from here")
        at = datetime.datetime.now().strftime("%Y-%m-%dT%H%M%S.%f")
        self._there.put(old, f"{self._prefix}/{EARLIER}/{at}/{job.item.name}")

    def _is_same(self, name: str, blake2b: str, size: int) -> bool:
        """Whether a file there has a checksum of the rigs' lists."""
        return self._there.compare(name, {BLAKE2B: blake2b}, size, self._control)

    def _path(self, name: str) -> str:
        return f"{self._prefix}/{self._part.target(name)}"

    def _name_of(self, job: _Job) -> str:
        """Return under which name it lies there now."""
        path = self._path(job.item.name)
        return path if isinstance(job.step, Compare) else self._begun(path)

    def _begun(self, path: str) -> str:
        """Return the name of a file that is not finished yet; a long one is made short."""
        folder, slash, name = path.rpartition("/")
        if len(unspell(name).encode(errors="surrogateescape")) + len(self._ending) > LONGEST_NAME:
            name = hashlib.blake2b(name.encode(errors="surrogatepass"), digest_size=16).hexdigest()
        return f"{folder}{slash}{name}{self._ending}"

    # -- what is said of it ---------------------------------------------------------------------------------

    def _note(self, news: Mapping[str, Known]) -> None:
        if not news:
            return
        with self._lock:
            self._files |= news
        self._ledger.write(self._part.root, self._part.exp_ref, self._mark, news)
        for name, known in news.items():
            self._on_news(name, known)

    def _leave_receipts(self, outcome: Outcome, there: Mapping[str, int]) -> None:
        """Say on both disks what was proved, and what was before and is not here any more."""
        listed = {one.name: one.blake2b is not None for one in self._part.items}
        files = [
            one
            for one in self._before
            if one.path not in outcome.files and there.get(one.target or one.path) == one.bytes
        ]
        for name, known in sorted(outcome.files.items()):
            target = self._part.target(name)
            files.append(
                Proved(
                    path=name,
                    bytes=known.bytes,
                    blake2b=known.blake2b or "",
                    target=target if target != name else None,
                    is_recorded=listed.get(name, False),
                )
            )
        part = part_id(self._part.root)
        receipt = Receipt(
            exp_ref=str(self._part.exp_ref),
            pc=socket.gethostname(),
            part=part,
            destination=self._there.text,
            mark=self._mark,
            at=datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
            files=tuple(sorted(files, key=lambda one: one.path)),
        )
        self._there.write(f"{self._prefix}/{receipt_name(part)}", to_bytes(receipt))
        try:
            write_receipt(self._folder, receipt)
        except OSError as error:
            raise DestinationError(f"{self._folder}: {why_not(error)}") from None


def digest(source: Path, names: Sequence[str], control: Control) -> Mapping[str, str]:
    """Return checksums of a file here. Raises OSError, Ended."""
    size = source.stat().st_size
    with source.open("rb", buffering=0) as file, Hasher(names, size=size) as hasher:
        while got := file.readinto(piece := hasher.lend()):
            control.may_go_on()
            hasher.feed(piece[:got])
    return hasher.digests()


def _judge(job: _Job, digests: Mapping[str, str], *, is_same: bool) -> Settle | None:
    """Return what is wrong with a file that was read back; None: nothing."""
    here = digests[BLAKE2B]
    return differs(here, here if is_same else "", job.item.blake2b, was_there=isinstance(job.step, Compare))


def _collected(job: _Job, digests: Mapping[str, str]) -> Known:
    return Known(
        state=FileState.COLLECTED,
        bytes=job.here.bytes,
        changed_at=job.here.changed_at,
        blake2b=digests[BLAKE2B],
    )


def _bundle(jobs: Sequence[_Job], most: int) -> Iterator[list[_Job]]:
    """Yield what is done in one go: small files together, a large one alone, small ones first."""
    bundle: list[_Job] = []
    room = BUNDLE
    for job in (one for one in jobs if one.is_small):
        if bundle and (len(bundle) >= most or job.here.bytes > room):
            yield bundle
            bundle, room = [], BUNDLE
        bundle.append(job)
        room -= job.here.bytes
    if bundle:
        yield bundle
    yield from ([one] for one in jobs if not one.is_small)


def _settled(item: Item, kept: Known | None, state: FileState, why: str) -> Known:
    if kept is not None:
        changed_at = kept.changed_at if state.is_there else 0
        return replace(kept, state=state, changed_at=changed_at, why=why)
    here = item.here or Here(bytes=0, changed_at=0)
    return Known(state=state, bytes=here.bytes, changed_at=here.changed_at, why=why)


def _remember(job: _Job, state: FileState, why: str) -> Known:
    """Return what is known of a file that did not get there; what we have brought there before is."""
    if job.before is not None:
        return replace(job.before, state=state, changed_at=0, why=why)
    return Known(state=state, bytes=job.here.bytes, changed_at=job.here.changed_at, why=why)


def _failed(job: _Job, why: str) -> Known:
    return _remember(job, FileState.FAILED, why)


def _why(error: Exception) -> str:
    return f"it cannot be read here: {why_not(error)}" if isinstance(error, OSError) else str(error)


__all__ = ["Ended", "Outcome", "copy_part", "digest"]
