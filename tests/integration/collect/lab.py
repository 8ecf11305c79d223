"""A PC with sessions on its disk, as rigs leave them, and a server's folder."""

from __future__ import annotations

import datetime
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from multirig.collect.collector import Collector
from multirig.collect.control import Control
from multirig.collect.ledger import Ledger
from multirig.collect.places import Destination
from multirig.collect.places.folder import Folder
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.holdings import Holding
from multirig.protocol.words import File
from multirig.record.manifest import DIGEST_SIZE, Manifest, Moment, write_manifest

DAY = datetime.date(2026, 1, 31)
MOMENT = Moment(wall="2026-01-31T10:00:00.000+00:00", clock=17.5)


def blake2b(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=DIGEST_SIZE).hexdigest()


class Pc:
    """The disk of one PC.

    Parameters
    ----------
    folder : pathlib.Path
        Its own.
    """

    def __init__(self, folder: Path) -> None:
        self.root = folder / "data" / "mylab" / "Subjects"
        self.ledger = Ledger(folder / "register.sqlite")
        self.is_recording = False
        self.control = self.new_control()

    def new_control(self, rate: float | None = None) -> Control:
        self.control = Control(rate, is_busy=lambda: self.is_recording)
        return self.control

    def record(
        self,
        files: Mapping[str, bytes],
        *,
        number: int = 1,
        subject: str = "SP_01",
        rig: str = "cam",
        extra: Mapping[str, bytes] | None = None,
        day: datetime.date = DAY,
        has_digests: bool = True,
    ) -> ExpRef:
        """Let a rig record files, and others lie beside them."""
        exp_ref = ExpRef(day, number, subject)
        folder = self.folder(exp_ref)
        for name, content in {**files, **(extra or {})}.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        listed = tuple(
            File(path=name, bytes=len(content), blake2b=blake2b(content) if has_digests else None)
            for name, content in sorted(files.items())
        )
        write_manifest(
            folder,
            Manifest(
                rig=rig,
                exp_ref=str(exp_ref),
                version="0.2.0",
                adapter="fake",
                started=MOMENT,
                stopped=MOMENT,
                files=listed,
            ),
        )
        return exp_ref

    def folder(self, exp_ref: ExpRef) -> Path:
        return self.root.joinpath(*exp_ref.folder_parts())

    def collector(self) -> Collector:
        """Return a collector as a new program has it."""
        return Collector([self.root], self.new_control(), self.ledger)

    def collect(self, destination: Destination, *wanted: ExpRef) -> dict[ExpRef, Holding]:
        return {one.exp_ref: one for one in self.collector().collect(destination, wanted)}

    def clear(self, destination: Destination, *wanted: ExpRef) -> dict[ExpRef, Holding]:
        return {one.exp_ref: one for one in self.collector().clear(destination, wanted)}

    def look(self, exp_ref: ExpRef) -> Holding:
        [found] = self.collector().look([exp_ref])
        return found


class Server:
    """A folder on another disk."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self.path = path

    def open(self) -> Folder:
        return Folder(str(self.path), self.path)

    def session(self, exp_ref: ExpRef) -> Path:
        return self.path.joinpath("mylab", "Subjects", *exp_ref.folder_parts())

    def files(self, exp_ref: ExpRef) -> dict[str, bytes]:
        """Return what is there of a session under its own names, without what copies leave of themselves."""
        top = self.session(exp_ref)
        found = {}
        for where, _, names in os.walk(top):
            for name in names:
                path = Path(where, name)
                found[path.relative_to(top).as_posix()] = path.read_bytes()
        return found
