"""What is sensible for a new rig where its person says nothing: names, ports, folders."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from multirig.config import DEFAULT_PORT, load_rig_config
from multirig.errors import ConfigError

LONGEST_LABEL = 24
"""Characters of a label that is proposed; files are called by it."""
FOLDER = "multirig-data"
WORTH_IT = 2
"""How many times the room another disk must have, to be proposed in place of the user's own."""
_RESERVED = re.compile("con|prn|aux|nul|com[0-9]|lpt[0-9]")
"""What Windows takes for a device, whatever stands behind its dot."""
PORTS = 100
"""How many ports are tried."""


def propose_name(host: str, taken: Collection[str] = ()) -> str:
    """Return a name for a rig, from what its PC is called."""
    name = re.sub(r"[^a-z0-9_-]+", "-", host.partition(".")[0].lower()).strip("-_")[:32]
    return _free(name or "rig", {one.lower() for one in taken}, "-")


def propose_file(name: str) -> str:
    """Return what a rig's file may be called on every system, from the name of the rig."""
    stem = propose_name(name.replace(".", "-"))
    return f"rig-{stem}.yaml" if _RESERVED.fullmatch(stem) else f"{stem}.yaml"


def propose_label(device: str, taken: Collection[str] = ()) -> str:
    """Return a label for a camera, letters and digits, from what its device is called."""
    words = re.findall(r"[A-Za-z0-9]+", device.replace("_", " "))
    if len(words) > 1 and words[-1].lower() in ("camera", "cam", "webcam"):
        words.pop()  # files end in Camera anyhow
    label = "".join(words)[:LONGEST_LABEL]
    label = label[:1].lower() + label[1:] if label[1:2].islower() else label
    return _free(label or "camera", {one.lower() for one in taken}, "")


def _free(name: str, taken: Collection[str], between: str) -> str:
    number, found = 2, name
    while found.lower() in taken:
        found, number = f"{name}{between}{number}", number + 1
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """The rigs whose files lie in a folder already."""

    names: dict[str, str] = field(default_factory=dict)
    """By name: the file."""
    ports: dict[int, str] = field(default_factory=dict)
    """By port: the file."""


def find_neighbours(folder: Path, besides: Path | None = None) -> Neighbours:
    """Return which names and ports the rigs of a folder have; a file that is none of a rig is left out."""
    found = Neighbours()
    for path in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]):
        if besides is not None and path.absolute() == besides.absolute():
            continue
        with contextlib.suppress(ConfigError, OSError):
            config = load_rig_config(path)
            found.names.setdefault(config.name, path.name)
            for uri in config.uri:
                found.ports.setdefault(uri.port, path.name)
    return found


def is_port_free(port: int) -> bool:
    """Return whether no program of this PC uses a UDP port."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tried:
            tried.bind(("0.0.0.0", port))
    except OSError:
        return False
    return True


def propose_port(taken: Collection[int], is_free: Callable[[int], bool] = is_port_free) -> int:
    """Return the usual port, or the next one that no other rig has and no program uses."""
    for port in range(DEFAULT_PORT, DEFAULT_PORT + PORTS):
        if port not in taken and is_free(port):
            return port
    return DEFAULT_PORT


def propose_data_folder() -> Path:
    """Return where data may go: the user's own disk, or another one of this PC that has far more room."""
    home = Path.home()
    rooms = {home: _room(home)}
    rooms |= {disk: _room(disk) for disk in _other_disks(home)}
    roomiest = max(rooms, key=lambda place: rooms[place])
    return (roomiest if rooms[roomiest] > WORTH_IT * rooms[home] else home) / FOLDER


def _room(folder: Path) -> int:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0


def _other_disks(home: Path) -> Iterator[Path]:
    """Yield the drives of a Windows PC that stay in it; elsewhere a disk is mounted where it is wanted."""
    system: str = sys.platform
    if system == "win32":
        import psutil

        for one in psutil.disk_partitions():
            drive = Path(one.mountpoint)
            stays = {"rw", "fixed"} <= set(one.opts.split(","))
            if stays and drive.drive.lower() != home.drive.lower() and os.access(drive, os.W_OK):
                yield drive


def propose_folder(here: Path) -> Path:
    """Return where the rig's file may lie: here, but not among Windows' own files."""
    system = os.environ.get("SYSTEMROOT")
    if sys.platform == "win32" and system and here.is_relative_to(Path(system)):
        return Path.home()  # a PowerShell of the administrator begins there
    return here if os.access(here, os.W_OK) else Path.home()
