"""What it costs to bring a session to another folder and prove that it is there, against rsync.

Both copy the same files on the same disk, one after the other, in turns: ours copies, puts them on the disk,
reads them back past the cache and compares checksums; ``rsync -c`` copies, and ``rsync -cn`` reads both sides
again, from wherever the system still has them. For what ours promises (it is on the disk, and was read from
there) rsync needs a ``sync`` in between, and a cache that has forgotten the copies: that is measured too.
"""

from __future__ import annotations

import datetime
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from multirig.collect.collector import Collector
from multirig.collect.control import Control
from multirig.collect.ledger import Ledger
from multirig.collect.places.folder import Folder
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.holdings import Whereabouts

ROUNDS = 3
LARGE, LARGE_BYTES = 4, 512 << 20
SMALL, SMALL_BYTES = 30_000, 4096
CLAIMS = {"large": 1 / 0.9, "small": 1 / 0.5}
"""Times of ours in times of rsync's, at most."""
SESSION = ExpRef(datetime.date(2026, 1, 31), 1, "SP_01")
RSYNC = "rsync"
ON_DISK = "rsync, read from the disk"


def has_rsync() -> bool:
    """Whether there is something to compare with."""
    return shutil.which(RSYNC) is not None


def measure(kind: str) -> dict[str, float]:
    """Return median seconds of ours and of rsync's, and their ratio, for ``large`` or ``small`` files."""
    with tempfile.TemporaryDirectory(prefix="multirig-bench-") as name:
        folder = Path(name)
        root = folder / "pc" / "mylab" / "Subjects"
        _record(root.joinpath(*SESSION.folder_parts()), kind)
        seconds: dict[str, list[float]] = {"multirig": [], RSYNC: [], ON_DISK: []}
        for _ in range(ROUNDS):
            seconds["multirig"].append(_try(folder, lambda there: _ours(root, there)))
            seconds[RSYNC].append(_try(folder, lambda there: _rsync(root, there)))
            seconds[ON_DISK].append(_try(folder, lambda there: _rsync(root, there, is_from_disk=True)))
    medians = {what: median(one) for what, one in seconds.items()}
    ours = medians["multirig"]
    return {**medians, "ratio": ours / medians[RSYNC], f"ratio, {ON_DISK}": ours / medians[ON_DISK]}


def _record(folder: Path, kind: str) -> None:
    count, size = (LARGE, LARGE_BYTES) if kind == "large" else (SMALL, SMALL_BYTES)
    block = os.urandom(min(size, 1 << 20))
    for number in range(count):
        path = folder / "raw" / f"{number // 1000:03}" / f"{number:06}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb") as file:
            for turn in range(size // len(block)):
                begin = (number * 7 + turn) % len(block)
                file.write(block[begin:] + block[:begin])


def _try(folder: Path, action: Callable[[Path], None]) -> float:
    there = folder / "there"
    there.mkdir()
    if hasattr(os, "sync"):
        os.sync()
    began = time.perf_counter()
    action(there)
    seconds = time.perf_counter() - began
    shutil.rmtree(there)
    return seconds


def _ours(root: Path, there: Path) -> None:
    ledger = Ledger(root.parent / "register.sqlite")
    control = Control(is_busy=lambda: False)
    [told] = Collector([root], control, ledger).collect(Folder(str(there), there))
    if told.state is not Whereabouts.COLLECTED:
        raise RuntimeError(told.why)
    for path in (*root.rglob("_multirig_collected.*"), *root.parent.glob("register.sqlite*")):
        path.unlink()


def _rsync(root: Path, there: Path, *, is_from_disk: bool = False) -> None:
    for options in ("-c", "-cn"):
        subprocess.run([RSYNC, options, "-r", "-t", f"{root}/", f"{there}/"], check=True)
        if is_from_disk and options == "-c":
            _forget(there)


def _forget(folder: Path) -> None:
    """Put what was copied on the disk, and let the system forget it, where it can be told to."""
    if not hasattr(os, "posix_fadvise"):
        return
    os.sync()
    for path in folder.rglob("*"):
        if path.is_file():
            fd = os.open(path, os.O_RDONLY)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)
