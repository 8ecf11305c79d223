"""A lab with several PCs and a server, in which anything may happen, and what must hold all the while."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.integration.collect.faulty import Crash, Faulty, MortalLedger, Power
from tests.integration.collect.lab import DAY, Pc, Server, blake2b
from tests.unit.sim.planting import swapped

import multirig.collect.clearing as clearing
import multirig.collect.collector as collecting
import multirig.collect.copying as copying
import multirig.collect.hashing as hashing
from multirig.collect.collector import Collector
from multirig.collect.control import Control
from multirig.collect.ledger import Ledger
from multirig.collect.parts import look_at
from multirig.collect.places import MARK_NAME
from multirig.collect.places.folder import Folder
from multirig.collect.receipts import Receipt, find_receipts, is_receipt, part_id, read_receipt
from multirig.collect.receipts import write_receipt as write_it
from multirig.errors import MultirigError
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.holdings import Holding, Whereabouts
from multirig.record.spelling import find_file as find_it
from multirig.transfer.folder import FLAG, close_part, open_part
from multirig.transfer.folder import Part as TransferPart

DONE = (Whereabouts.COLLECTED, Whereabouts.CLEARED)
MEMORY = Path("/dev/shm")
"""Where a test's many small files cost least, if there is such a place."""


class Broken(AssertionError):
    """A promise was not kept."""


@contextlib.contextmanager
def small_pieces() -> Iterator[None]:
    """Let a file of a hundred bytes be a large one, and one thing be done after the other."""
    with contextlib.ExitStack() as stack:
        for where, name, value in (
            (copying, "WORKERS", 1),
            (copying, "SMALL", 64),
            (copying, "BUNDLE", 200),
            (hashing, "PIECE", 48),
            (collecting, "SETTLING", 0.0),
        ):
            stack.enter_context(swapped(where, name, value))
        yield


def digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=32).hexdigest()


class World:
    """Some PCs and a server.

    Parameters
    ----------
    pcs : int
        How many.
    """

    def __init__(self, pcs: int = 2) -> None:
        base = MEMORY if os.access(MEMORY, os.W_OK) else None
        self.folder = Path(tempfile.mkdtemp(prefix="multirig-lab-", dir=base))
        self.power = Power()
        self.pcs = [Pc(self.folder / f"pc{number}") for number in range(pcs)]
        for pc in self.pcs:
            pc.root.mkdir(parents=True)
        self.server = Server(self.folder / "server")
        self.fault: tuple[str, int] | None = None
        self.dies_after: int | None = None
        self.is_connected = True
        self.expected: dict[tuple[int, ExpRef, str], bytes] = {}
        """What was recorded or written last, that no person has thrown away."""
        self.touched: set[tuple[int, ExpRef]] = set()
        """Parts with which a person has done something by which they cannot be collected as they are."""
        self.foreign: dict[Path, bytes] = {}
        """Files of others at the server."""
        self.kept: dict[Path, set[bytes]] = {}
        """What lay under its final name at the server, by session, and was harmed by nobody."""
        self.harmed: set[bytes] = set()
        """Contents that somebody has harmed at the server, somewhere."""
        self._number = 0

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- what people and rigs do ----------------------------------------------------------------------------

    def content(self, size: int) -> bytes:
        """Return bytes that nothing else has."""
        self._number += 1
        return f"{self._number:06}-".encode() * (size // 7) + b"." * (size % 7) if size else b""

    def record(self, pc: int, number: int, rig: str, sizes: Sequence[int], *, is_listed: bool = True) -> None:
        """A rig records a session, or a second rig of that PC another part of it."""
        exp_ref = ExpRef(DAY, number, "SP_01")
        place = self.pcs[pc].folder(exp_ref)
        rig = f"{rig}{pc}"  # no two rigs of a session have one name
        if (place / f"_multirig_manifest.{rig}.json").exists():
            return
        files = {f"raw_{rig}/{index}.bin": self.content(size) for index, size in enumerate(sizes)}
        self.pcs[pc].record(files, number=number, rig=rig, has_digests=is_listed)
        self._is_new(pc, exp_ref)
        for name, content in files.items():
            self.expected[pc, exp_ref, name] = content

    def add(self, pc: int, number: int, name: str, size: int) -> None:
        """A person puts a file beside the data, or writes it anew."""
        exp_ref = ExpRef(DAY, number, "SP_01")
        place = self.pcs[pc].folder(exp_ref)
        if not place.is_dir():
            return
        if any(key[1:] == (exp_ref, name) and key[0] != pc for key in self.expected):
            self.touched |= {(number, exp_ref) for number in range(len(self.pcs))}  # they collide
        content = self.content(size)
        (place / name).write_bytes(content)
        self._is_new(pc, exp_ref, place / name)
        self.expected[pc, exp_ref, name] = content

    def change(self, pc: int, index: int, *, is_longer: bool) -> None:
        """Somebody writes to a file that a rig has recorded, or that lies beside."""
        if (key := self._choose(pc, index)) is None:
            return
        path = self.pcs[pc].folder(key[1]) / key[2]
        content = self.expected[key]
        if not path.is_file() or not content:
            return
        changed = content + b"+" if is_longer else content[:-1] + bytes([content[-1] ^ 3])
        path.write_bytes(changed)
        self._is_new(pc, key[1], path)
        self.expected[key] = changed
        if key[2].startswith("raw"):
            self.touched.add(key[:2])

    def remove(self, pc: int, index: int) -> None:
        """Somebody throws a file away."""
        if (key := self._choose(pc, index)) is None:
            return
        path = self.pcs[pc].folder(key[1]) / key[2]
        if path.is_file():
            path.unlink()
            del self.expected[key]
            self.touched.add(key[:2])

    def harm(self, index: int, how: str) -> None:
        """Something happens to a file at the server, whether it is whole there or only begun."""
        paths = [one for one in self._server_files() if not is_receipt(one.name) and one not in self.foreign]
        paths = [one for one in paths if one.name != MARK_NAME and one.stat().st_size]
        if not paths:
            return
        path = paths[index % len(paths)]
        content = path.read_bytes()
        is_begun = path.name.endswith(".part") and path.stat().st_nlink == 1
        if how == "gone":
            path.unlink()
        else:
            # as a disk does it, that forgets, or whoever writes to it
            path.write_bytes(content[:-1] if how == "cut" else bytes([content[0] ^ 1]) + content[1:])
        if is_begun:
            return
        self.harmed.add(content)
        self._touch_session_of(path)
        for known in self.kept.values():
            known.discard(content)
        for key, wanted in list(self.expected.items()):
            if wanted == content:
                self.touched.add(key[:2])
                if not (self.pcs[key[0]].folder(key[1]) / key[2]).is_file():
                    del self.expected[key]  # it was the last

    def place(self, pc: int, index: int) -> None:
        """Somebody puts another file at the server under the name of one of ours."""
        if (key := self._choose(pc, index)) is not None:
            self.place_at(f"mylab/Subjects/{'/'.join(key[1].folder_parts())}/{key[2]}")

    def place_at(self, name: str) -> None:
        path = self.server.path / name
        if self.is_connected and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            self.foreign[path] = self.content(60)
            path.write_bytes(self.foreign[path])
            self._touch_session_of(path)

    def hand_over(self, pc: int, number: int, *, is_taken: bool) -> None:
        """A session is handed to iblrig's copier, which takes it or has not done so yet."""
        exp_ref = ExpRef(DAY, number, "SP_01")
        place = self.pcs[pc].folder(exp_ref)
        if not place.is_dir():
            return
        part = TransferPart(device="video", description={"devices": {"cameras": {}}}, has_data=True)
        open_part(place, str(exp_ref), "cam", part)
        close_part(place, str(exp_ref), "cam", part)
        if is_taken:
            (place / FLAG).unlink()
        self.touched.add((pc, exp_ref))

    def disconnect(self) -> None:
        """The share is not mounted any more: an empty folder lies in its place."""
        if self.is_connected:
            self.server.path.rename(self.folder / "elsewhere")
            self.server.path.mkdir()
            self.is_connected = False

    def connect(self) -> None:
        if not self.is_connected:
            if left := list(self.server.path.iterdir()):
                raise Broken(f"written where the share is not mounted: {left}")
            self.server.path.rmdir()
            (self.folder / "elsewhere").rename(self.server.path)
            self.is_connected = True

    def lose_ledger(self, pc: int, *, is_damaged: bool) -> None:
        """The register of a PC is deleted, or is something else now."""
        path = self.pcs[pc].root.parent.parent.parent / "register.sqlite"
        for ending in ("-wal", "-shm", ""):
            path.with_name(path.name + ending).unlink(missing_ok=True)
        if is_damaged:
            path.write_bytes(b"no data base" * 1000)

    # -- what is tried --------------------------------------------------------------------------------------

    def collect(self, pc: int) -> list[Holding]:
        return self._do(pc, lambda collector, destination: collector.collect(destination))

    def clear(self, pc: int) -> list[Holding]:
        wanted = [one.exp_ref for one in self.look(pc) if one.state is Whereabouts.COLLECTED]
        return self._do(pc, lambda collector, destination: collector.clear(destination, wanted))

    def look(self, pc: int) -> list[Holding]:
        return self._collector(pc).look()

    def _collector(self, pc: int) -> Collector:
        """Return one as a new program has it."""
        one = self.pcs[pc]
        file = one.root.parent.parent.parent / "register.sqlite"
        control = Control(is_busy=lambda: False)
        return Collector([one.root], control, MortalLedger(file, self.power))

    def _do(self, pc: int, action: Callable[[Collector, Faulty], list[Holding]]) -> list[Holding]:
        if not self.is_connected and not self._knows_server(pc):
            return []  # who has never seen it cannot know that an empty folder is not it
        inner = Folder(str(self.server.path), self.server.path)
        fault, at = self.fault or (None, 0)
        destination = Faulty(inner, self.power, fault, at, self.place_at)
        self.power.fail_after(self.dies_after)
        self.fault = self.dies_after = None
        find, write = find_it, write_it

        def find_file(folder: Path, path: str) -> Path:
            self.power.step()  # before each removal
            return find(folder, path)

        def write_receipt(folder: Path, receipt: Receipt) -> None:
            self.power.step()
            write(folder, receipt)

        try:
            with (
                swapped(clearing, "find_file", find_file),
                swapped(clearing, "write_receipt", write_receipt),
                swapped(copying, "write_receipt", write_receipt),
            ):
                told = action(self._collector(pc), destination)
        except (MultirigError, Crash):
            told = []
        finally:
            self.power.back()
        for one in told:
            if one.state in DONE:
                self._check_claim(pc, one)
        return told

    # -- what must hold -------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raise Broken if a promise is not kept."""
        if not self.is_connected:
            if left := list(self.server.path.iterdir()):
                raise Broken(f"written where the share is not mounted: {left}")
            return
        self._check_foreign()
        self._check_kept()
        self._check_nothing_is_lost()
        for number in range(len(self.pcs)):
            for one in self.look(number):
                if one.state in DONE:
                    self._check_claim(number, one)
            self._check_ledger(number)
        self._check_receipts()

    def _check_foreign(self) -> None:
        for path, content in self.foreign.items():
            if not path.exists() or path.read_bytes() != content:
                raise Broken(f"a file of others was changed: {path}")

    def _check_kept(self) -> None:
        """What has its name at the server is there afterwards, under that name or among the earlier ones."""
        now: dict[Path, set[bytes]] = {}
        for path in self._server_files():
            ours = not path.name.endswith(".part") and not path.name.startswith((".", "_multirig"))
            if ours and path not in self.foreign:
                now.setdefault(self._session_of(path), set()).add(path.read_bytes())
        for session, contents in self.kept.items():
            if lost := contents - now.get(session, set()) - self.harmed:
                raise Broken(f"gone from the server: {sorted(lost)[0][:20]!r} of {session}")
        self.kept = now

    def _check_nothing_is_lost(self) -> None:
        for (pc, exp_ref, name), content in self.expected.items():
            here = self.pcs[pc].folder(exp_ref) / name
            if here.is_file() and here.read_bytes() == content:
                continue
            there = self.server.session(exp_ref) / name
            if not there.is_file() or there.read_bytes() != content:
                raise Broken(f"{exp_ref} {name} is neither here nor there")

    def _check_claim(self, pc: int, one: Holding) -> None:
        """What is said to be collected is there, as it is here."""
        if not self.is_connected:
            return
        part = look_at(self.pcs[pc].root, one.exp_ref)
        receipt = read_receipt(part.folder, part_id(part.root))
        if receipt is None:
            raise Broken(f"{one.exp_ref} is said to be {one.state}, and there is no receipt")
        for file in receipt.files:
            self._check_there(one.exp_ref, file.target or file.path, file.blake2b)
        for item in part.items:
            path = part.folder / item.name
            if item.here is not None and item.name in {name for _, _, name in self.expected}:
                self._check_there(one.exp_ref, part.target(item.name), digest(path.read_bytes()))

    def _check_ledger(self, pc: int) -> None:
        root = self.pcs[pc].root
        ledger = Ledger(root.parent.parent.parent / "register.sqlite")
        mark = ledger.mark_of(str(self.server.path))
        if mark is None:
            return
        for exp_ref in {key[1] for key in self.expected if key[0] == pc}:
            part = look_at(root, exp_ref)
            for name, known in ledger.read(root, exp_ref, mark).items():
                if known.state.is_there:
                    self._check_there(exp_ref, part.target(name), known.blake2b or "")

    def _check_receipts(self) -> None:
        for exp_ref in {key[1] for key in self.expected}:
            for receipt in find_receipts(self.server.session(exp_ref))[0]:
                for file in receipt.files:
                    self._check_there(exp_ref, file.target or file.path, file.blake2b)

    def _check_there(self, exp_ref: ExpRef, name: str, wanted: str) -> None:
        """A file lies there with that checksum, or was put aside for a newer one, or somebody harmed it."""
        session = self.server.session(exp_ref)
        if wanted in {digest(one) for one in self.harmed}:
            return
        for path in (session / name, *session.glob(f"_multirig_earlier/*/{name}")):
            if path.is_file() and digest(path.read_bytes()) == wanted:
                return
        raise Broken(f"{exp_ref} {name} is said to be there, and is not")

    def end(self) -> None:
        """Put all right that can be, and see that everything is collected, collected anew, and cleared."""
        self.connect()
        self.check()
        for _ in range(2):
            self._collect_all()
        self._check_end(DONE)
        for pc, exp_ref, name in list(self.expected):
            path = self.pcs[pc].folder(exp_ref) / name
            if not name.startswith("raw") and path.is_file():
                self.add(pc, exp_ref.sequence, name, path.stat().st_size + 30)
        for _ in range(2):
            self._collect_all()
        for number in range(len(self.pcs)):
            self.clear(number)
            self.check()
        self._collect_all()  # what was found to be harmed is tried once more
        self._check_end((Whereabouts.CLEARED,))

    def _collect_all(self) -> None:
        time.sleep(0.005)  # what was written just now is older than a receipt
        for number in range(len(self.pcs)):
            self.collect(number)
            self.check()

    def _check_end(self, wanted: tuple[Whereabouts, ...]) -> None:
        for number in range(len(self.pcs)):
            for one in self.look(number):
                is_touched = (number, one.exp_ref) in self.touched
                if one.state in wanted or (is_touched and one.state in DONE):
                    continue
                if is_touched and one.state in (Whereabouts.STUCK, Whereabouts.IBLRIG) and one.why:
                    continue
                raise Broken(f"pc {number}: {one.exp_ref} is {one.state} at the end: {one.why}")

    def _knows_server(self, pc: int) -> bool:
        root = self.pcs[pc].root
        ledger = Ledger(root.parent.parent.parent / "register.sqlite")
        return ledger.mark_of(str(self.server.path)) is not None or any(root.rglob("_multirig_collected.*"))

    # -- inside ---------------------------------------------------------------------------------------------

    def _choose(self, pc: int, index: int) -> tuple[int, ExpRef, str] | None:
        keys = [key for key in self.expected if key[0] == pc]
        return keys[index % len(keys)] if keys else None

    def _touch_session_of(self, path: Path) -> None:
        """Note that something was done at the server to a session."""
        for pc, exp_ref, _ in self.expected:
            if self.server.session(exp_ref) in path.parents:
                self.touched.add((pc, exp_ref))

    def _is_new(self, pc: int, exp_ref: ExpRef, path: Path | None = None) -> None:
        """Wait until the clock of files has gone on since the last receipt."""
        place = self.pcs[pc].folder(exp_ref)
        path = path or max(place.rglob("*"), key=lambda one: one.stat().st_mtime_ns)
        receipts = [one for one in place.iterdir() if is_receipt(one.name)]
        while any(path.stat().st_mtime_ns <= one.stat().st_mtime_ns for one in receipts):
            os.utime(path)

    def _server_files(self) -> list[Path]:
        top = self.server.path if self.is_connected else self.folder / "elsewhere"
        return sorted(Path(where, name) for where, _, names in os.walk(top) for name in names)

    def _session_of(self, path: Path) -> Path:
        return Path(*path.relative_to(self.server.path).parts[:5])


__all__ = ["Broken", "World", "blake2b", "small_pieces"]
