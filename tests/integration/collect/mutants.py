"""Planted bugs: each breaks a promise of collecting, so that whoever watches it is seen to be awake."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.unit.sim.planting import Mutant, change, swap, swapped

import multirig.collect.clearing as clearing
import multirig.collect.collector as collecting
import multirig.collect.copying as copying
import multirig.collect.places.folder as folders
from multirig.collect.collector import Collector
from multirig.collect.control import Control
from multirig.collect.copying import Outcome
from multirig.collect.places import Digests
from multirig.collect.places.folder import Folder
from multirig.collect.receipts import Receipt
from multirig.collect.states import FileState, Here, Known, Settle, Step, There


@contextlib.contextmanager
def resume_blindly() -> Iterator[None]:
    """Take what was begun for what it should be, once it is long enough."""
    resumed: set[str] = set()
    send, compare = Folder.send, Folder.compare

    def sending(self: Folder, source: Path, name: str, start: int, control: Control) -> Digests:
        if start:
            resumed.add(name)
        return send(self, source, name, start, control)

    def comparing(self: Folder, name: str, digests: Digests, size: int, control: Control) -> bool:
        return name in resumed or compare(self, name, digests, size, control)

    with swapped(Folder, "send", sending), swapped(Folder, "compare", comparing):
        yield


def overwrite(place: Path, goal: Path) -> None:
    os.replace(place, goal)


def send_over(send: Callable[..., Digests]) -> Callable[..., Digests]:
    """Write over what was begun, whatever other names it has."""

    def sending(self: Folder, source: Path, name: str, start: int, control: Control) -> Digests:
        place = self.root / name
        if not place.exists():
            return send(self, source, name, start, control)
        content = source.read_bytes()
        with place.open("r+b") as file:
            file.write(content)
            file.truncate()
        return {"blake2b": copying.digest(source, ("blake2b",), control)["blake2b"]}

    return sending


def believe_ledger(decide: Callable[..., Step]) -> Callable[..., Step]:
    def deciding(known: Known | None, here: Here | None, there: There) -> Step:
        if known is not None and known.state is FileState.COLLECTED:
            return Settle(state=FileState.COLLECTED)
        return decide(known, here, there)

    return deciding


def throw_away(self: Any, job: Any) -> None:
    """Remove the earlier file, whatever it is."""
    self._there.remove(self._path(job.item.name))


def never_moved(part: Any, receipt: Receipt) -> bool:
    return False


@contextlib.contextmanager
def write_over_what_was_left() -> Iterator[None]:
    with (
        swapped(Folder, "send", send_over(Folder.send)),
        swapped(copying._Copying, "_remove_leftovers", nothing),
    ):
        yield


def receipt_too_early(self: Outcome) -> bool:
    return any(one.state.is_there for one in self.files.values())


def said_before_compared(finish: Callable[..., Any]) -> Callable[..., Any]:
    """Tell the ledger first, and look afterwards."""

    def finishing(self: Any, sent: Sequence[tuple[Any, Mapping[str, str]]]) -> Any:
        for job, digests in sent:
            known = Known(
                state=FileState.COLLECTED,
                bytes=job.here.bytes,
                changed_at=job.here.changed_at,
                blake2b=digests["blake2b"],
            )
            self._ledger.write(self._part.root, self._part.exp_ref, self._mark, {job.item.name: known})
        return finish(self, sent)

    return finishing


def any_mark(open_: Callable[..., str]) -> Callable[..., str]:
    def opening(self: Folder, mark: str | None) -> str:
        return open_(self, None)

    return opening


def remove_first(clear: Callable[..., int]) -> Callable[..., int]:
    """Remove each file here as soon as it was proved."""

    def clearing_part(part: Any, receipt: Receipt, destination: Any, *more: Any) -> int:
        prove = clearing._prove

        def proving(part: Any, one: Any, *rest: Any) -> None:
            path = part.folder / one.path
            if path.is_file() and not one.path.startswith("_multirig"):
                path.unlink()
            prove(part, one, *rest)

        with swapped(clearing, "_prove", proving):
            return clear(part, receipt, destination, *more)

    return clearing_part


def always_true(*_: Any) -> bool:
    return True


def nothing(*_: Any, **__: Any) -> None:
    return None


MUTANTS: dict[str, tuple[Mutant, str, str]] = {
    "what was sent is not read back": (swap(Folder, "compare", always_true), "a first copy", "flip"),
    "a file is renamed over another": (swap(folders, "rename_new", overwrite), "a first copy", "placed"),
    "what goes on from a break is not compared": (resume_blindly, "cut off before", "flip"),
    "the receipt comes before the last file": (
        swap(Outcome, "is_collected", property(receipt_too_early)),
        "a first copy",
        "away",
    ),
    "cleared without a look at the server": (
        swap(clearing, "_prove", nothing),
        "clearing what was harmed",
        "nothing",
    ),
    "each file is removed before all are proved": (
        change(collecting, "clear_part", remove_first),
        "clearing what was harmed",
        "nothing",
    ),
    "the ledger is believed": (change(copying, "decide", believe_ledger), "a log that has grown", "nothing"),
    "an earlier file is thrown away": (
        swap(copying._Copying, "_put_aside", throw_away),
        "a log that has grown",
        "nothing",
    ),
    "what has changed since is not seen": (
        swap(collecting, "_has_news", never_moved),
        "a note of the same size",
        "nothing",
    ),
    "the ledger is told before it was compared": (
        change(copying._Copying, "_finish_all", said_before_compared),
        "a first copy",
        "death",
    ),
    "any folder is the destination": (change(Folder, "open", any_mark), "a share that is away", "nothing"),
    "the mark is forgotten with the ledger": (
        swap(Collector, "_mark_of", lambda self, _: None),
        "a share that is away",
        "nothing",
    ),
    "what was begun is left, and written over whatever names it has": (
        write_over_what_was_left,
        "cut off at its name",
        "nothing",
    ),
}
"""What is planted, and in which story, cut off by what, it is to be noticed."""
