"""A session's folder on the server: what IBL's copiers keep account of there, and little files of ours."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
from collections.abc import Collection
from pathlib import Path

import yaml

from multirig.errors import MultirigError, why_not
from multirig.protocol.exp_ref import ExpRef
from multirig.transfer.describing import Description, choose_device, share_collection
from multirig.writing import write_whole

STUBS = "_devices"
"""In a session's folder on the server: a description of each PC, with a file that says how far it is."""
PENDING = ".status_pending"
SUBJECTS = "Subjects"
OURS = ("_multirig_manifest.*.json", "_multirig_markers.*.csv", "_multirig_log.*.log")
LEADERS = (
    "_multirig_journal.jsonl",
    "_multirig_verdict.json",
    "_multirig_clock.offsets.csv",
    "_multirig_sync.starts.csv",
    "_multirig_description.yaml",
)
"""Files beside the data that iblrig's copiers leave behind: they copy collections."""
SAME_TIME = 2.0
"""Seconds: some servers keep times no finer."""

log = logging.getLogger("multirig.transfer")


class ServerAway(MultirigError):
    """The server does not answer, or does not take what it is given."""


class NamesakeThere(MultirigError):
    """Another PC of the session has the device's name."""


def subjects_on_server(server: Path) -> Path:
    """Return the folder of the subjects on a server whose folder is given, with or without ``Subjects``."""
    return server if server.name == SUBJECTS else server / SUBJECTS


def stub_path(subjects: Path, exp_ref: ExpRef, device: str) -> Path:
    """Return where the description of a device lies on the server."""
    return subjects.joinpath(*exp_ref.folder_parts(), STUBS, f"{exp_ref}@{device}.yaml")


def look_at_server(subjects: Path) -> str | None:
    """Say why a server cannot be used now; None: it can. May block for long where a share is dead."""
    try:
        os.stat(subjects)
    except FileNotFoundError:
        if subjects.parent.is_dir():  # the first session of a lab
            return None
        return f"{subjects} is not there: look whether the server is on and its drive connected"
    except OSError as error:
        return f"{subjects} cannot be reached ({why_not(error)}): look whether the server is on"
    return None if os.access(subjects, os.W_OK) else f"{subjects} may not be written to: look at its rights"


def register(
    subjects: Path,
    exp_ref: ExpRef,
    device: str,
    description: Description,
    *,
    is_new: bool,
    ours: Collection[str] | None = None,
) -> Path:
    """Enter a device's part of a session on the server, to be copied; return its description there.

    Parameters
    ----------
    subjects : pathlib.Path
        Folder of the subjects on the server.
    exp_ref : ExpRef
        Of the session.
    device : str
        As which it is copied.
    description : dict
        What is copied.
    is_new : bool
        Whether something is recorded now: what was copied before is copied again then.
    ours : collection of str, optional
        Marks of what this PC has written there; without it, whatever is there may be replaced.

    Raises
    ------
    NamesakeThere
        Another PC has entered itself under that name; it was left as it is.
    ServerAway
        The message says why.
    """
    if (reason := look_at_server(subjects)) is not None:
        raise ServerAway(reason)
    path = stub_path(subjects, exp_ref, device)
    content = write_stub(description)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        is_known = False
        try:
            with path.open("xb") as file:  # of two PCs at once, one is the first
                file.write(content)
        except FileExistsError:
            there = path.read_bytes()
            is_known = there == content
            if not is_known:
                if there and ours is not None and digest_of(there) not in ours:
                    raise NamesakeThere(
                        f"another PC of this session is {device} too, and iblrig would take one for the "
                        "other: this one is not copied, give it a device name of its own (ibl: {device: …}), "
                        "and copy this session by hand"
                    ) from None
                write_whole(path, content)
        states = list_states(path)
        if is_new or not is_known or not states:
            path.with_suffix(PENDING).touch()
            for state in states:
                if state.suffix != PENDING:
                    state.unlink(missing_ok=True)
    except OSError as error:
        raise ServerAway(f"{path} cannot be written ({why_not(error)}): look at the server") from error
    return path


def write_stub(description: Description) -> bytes:
    """Return what stands in a description on the server, in letters that every system reads alike."""
    return yaml.safe_dump(description, sort_keys=True, allow_unicode=False).encode()


def digest_of(content: bytes) -> str:
    """Return a mark by which what was written is known again."""
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def find_rival(stub: Path, device: str, description: Description) -> str | None:
    """Say why a device is not to be copied: its copy would take the place of another one's; None: it may.

    iblrig removes a folder on the server before it copies one of that name. Of two devices that name the same
    folder one is copied.
    """
    for other in sorted(one for one in stub.parent.glob("*.yaml") if one != stub):
        rival = other.stem.rpartition("@")[2]
        try:
            found = yaml.safe_load(other.read_bytes())
        except (OSError, ValueError, yaml.YAMLError):
            continue
        if not isinstance(found, dict) or choose_device((device, rival)) == device:
            continue
        if (shared := share_collection(description, found)) is not None:
            return (
                f"{rival}, another PC of this session, records into {shared} too: iblrig would remove its "
                f"copy on the server for that of {device}, which is not copied therefore: give one of them "
                "another collection, and copy this session by hand"
            )
    return None


def list_states(stub: Path) -> list[Path]:
    """Return the files that say how far the copy of a device is; iblrig keeps one at a time."""
    return sorted(one for one in stub.parent.iterdir() if one.stem == stub.stem and ".status_" in one.name)


def unregister(subjects: Path, exp_ref: ExpRef, device: str) -> None:
    """Take a device back of which nothing was recorded, or which is copied as another one.

    Raises
    ------
    ServerAway
        The message says why.
    """
    if (reason := look_at_server(subjects)) is not None:
        raise ServerAway(reason)
    path = stub_path(subjects, exp_ref, device)
    try:
        for one in [*(list_states(path) if path.parent.is_dir() else ()), path]:
            one.unlink(missing_ok=True)
        folder = path.parent
        with contextlib.suppress(OSError):  # what holds something stays
            while folder != subjects:
                folder.rmdir()
                folder = folder.parent
    except OSError as error:
        raise ServerAway(f"{path} cannot be removed ({why_not(error)}): look at the server") from error


def copy_records(folder: Path, subjects: Path, exp_ref: ExpRef) -> None:
    """Copy the journal, the verdict, manifests and markers beside what iblrig copies.

    Raises
    ------
    ServerAway
        The message says why.
    """
    there = subjects.joinpath(*exp_ref.folder_parts())
    try:
        for path in (one for pattern in (*OURS, *LEADERS) for one in sorted(folder.glob(pattern))):
            target, here = there / path.name, path.stat()
            if target.exists():
                known = target.stat()
                if known.st_size == here.st_size and abs(known.st_mtime - here.st_mtime) <= SAME_TIME:
                    continue
            there.mkdir(parents=True, exist_ok=True)
            beside = target.with_name(f".{target.name}.new")
            shutil.copyfile(path, beside)
            with contextlib.suppress(OSError):
                shutil.copystat(path, beside)
            os.replace(beside, target)
    except OSError as error:
        raise ServerAway(f"{there} cannot be written ({why_not(error)}): look at the server") from error
