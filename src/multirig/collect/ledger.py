"""What is known of each file that is collected: tables in the register of sessions.

Nothing is decided by it alone (`multirig.collect.states`); it spares reading again what was proved already,
and tells quickly what is where. It is made anew from the receipts on the disk of this PC.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path

from multirig.collect.parts import find_sessions
from multirig.collect.receipts import part_id, read_receipt
from multirig.collect.states import FileState, Known
from multirig.protocol.exp_ref import ExpRef
from multirig.record.register import Register, changing, clean


class Ledger:
    """The copies of files, the destinations that were used, and what other PCs have said.

    Parameters
    ----------
    file : pathlib.Path, optional
        Of the register; by default the user's own.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._register = Register(file)

    def read(self, root: Path, exp_ref: ExpRef, mark: str) -> dict[str, Known]:
        """Return what is known of a part of a session at a destination, by the name of the file."""
        query = "SELECT * FROM copies WHERE root = ? AND path = ? AND mark = ?"
        rows = self._register.use(lambda base: base.execute(query, _key(root, exp_ref, mark)).fetchall())
        return {row["name"]: _known(row) for row in rows}

    def read_newest(self, root: Path, exp_ref: ExpRef, mark: str | None) -> dict[str, Known]:
        """Return what is known of a part where nobody says at which destination: wherever most is."""
        if mark is not None:
            return self.read(root, exp_ref, mark)
        query = "SELECT mark FROM copies WHERE root = ? AND path = ? GROUP BY mark ORDER BY count(*) DESC"
        key = _key(root, exp_ref, "")[:2]
        row = self._register.use(lambda base: base.execute(query, key).fetchone())
        return {} if row is None else self.read(root, exp_ref, row[0])

    def write(self, root: Path, exp_ref: ExpRef, mark: str, news: Mapping[str, Known]) -> None:
        """Note what has become of files."""
        key = _key(root, exp_ref, mark)
        rows = [
            (*key, clean(name), str(one.state), one.bytes, one.changed_at, one.blake2b, clean(one.why))
            for name, one in news.items()
        ]

        def put(base: sqlite3.Connection) -> None:
            with changing(base):
                base.executemany("INSERT OR REPLACE INTO copies VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

        self._register.use(put)

    # -- destinations -------------------------------------------------------------------------------------

    def mark_of(self, text: str) -> str | None:
        """Return by which mark a destination is known; None: it was never used from here."""
        query = "SELECT mark FROM destinations WHERE text = ?"
        row = self._register.use(lambda base: base.execute(query, (clean(text),)).fetchone())
        return None if row is None else str(row[0])

    def note_destination(self, text: str, mark: str) -> None:
        """Remember by which mark a destination is known."""

        def put(base: sqlite3.Connection) -> None:
            with changing(base):
                base.execute("INSERT OR REPLACE INTO destinations VALUES (?, ?)", (clean(text), mark))

        self._register.use(put)

    # -- other PCs ------------------------------------------------------------------------------------------

    def note_told(self, pc: str, told: Iterable[tuple[str, str]]) -> None:
        """Keep what a PC has said of its parts: pairs of exp_ref and JSON."""
        rows = [(clean(pc), exp_ref, clean(text)) for exp_ref, text in told]

        def put(base: sqlite3.Connection) -> None:
            with changing(base):
                base.execute("DELETE FROM parts WHERE pc = ?", (clean(pc),))
                base.executemany("INSERT OR REPLACE INTO parts VALUES (?, ?, ?)", rows)

        self._register.use(put)

    def told(self) -> list[tuple[str, str, str]]:
        """Return what all PCs have said last: name of the PC, exp_ref, JSON."""
        query = "SELECT pc, exp_ref, told FROM parts ORDER BY pc, exp_ref"
        return [
            (row["pc"], row["exp_ref"], row["told"])
            for row in self._register.use(lambda base: base.execute(query).fetchall())
        ]

    # -- made anew ------------------------------------------------------------------------------------------

    def rebuild(self, root: Path) -> int:
        """Know of a folder ``…/Subjects`` what its receipts say, and no more; return how many there are.

        Each file is compared once more at its destination when it is collected next: only then it is known
        not to have changed since.
        """

        def drop(base: sqlite3.Connection) -> None:
            with changing(base):
                base.execute("DELETE FROM copies WHERE root = ?", (clean(str(root)),))

        self._register.use(drop)
        count = 0
        part = part_id(root)
        for exp_ref in find_sessions(root) if root.is_dir() else ():
            receipt = read_receipt(root.joinpath(*exp_ref.folder_parts()), part)
            if receipt is not None:
                count += 1
                self.note_destination(receipt.destination, receipt.mark)
                known = {
                    one.path: Known(state=FileState.COLLECTED, bytes=one.bytes, blake2b=one.blake2b)
                    for one in receipt.files
                }
                self.write(root, exp_ref, receipt.mark, known)
        return count


def rebuild_ledger(roots: Iterable[Path]) -> None:
    """Make anew what the user's own register knows of copies, from the receipts in folders of this PC."""
    ledger = Ledger()
    for root in roots:
        ledger.rebuild(root)


def _key(root: Path, exp_ref: ExpRef, mark: str) -> tuple[str, str, str]:
    return clean(str(root)), "/".join(exp_ref.folder_parts()), mark


def _known(row: sqlite3.Row) -> Known:
    return Known(
        state=FileState(row["state"]),
        bytes=row["bytes"],
        changed_at=row["changed_at"],
        blake2b=row["blake2b"],
        why=row["why"],
    )
