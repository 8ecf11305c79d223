"""``iblrig.net`` of rigs: where they are listed, where one listens, what an experiment tells of itself."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multirig.conductor.registration import choose_uri, own_addresses, register
from multirig.conductor.roster import Roster, find_rigs_file, is_every_address, rigs_file_in
from multirig.config import DEFAULT_PORT, Uri
from multirig.errors import ConfigError
from multirig.version import __version__

if TYPE_CHECKING:
    from multirig.ibl.net.app import EchoProtocol

SPEC_VERSION = "1.0.0"
"""Version of IBL's message protocol, as its peers state it."""

log = logging.getLogger("multirig.ibl")


class RigsFileMissing(ConfigError, FileNotFoundError):
    """There is no rigs file, and a rig was to be entered in the one that is there."""


@dataclass
class ExpInfo:
    """What an EXPINFO tells of an experiment."""

    exp_ref: str | None
    """``yyyy-mm-dd_n_subject``; None before the agreement."""
    main_sync: bool
    """Whether this PC owns the experiment's number and timeline."""
    experiment_description: dict[str, Any] = field(default_factory=dict)
    """This PC's part of ``_ibl_experiment.description.yaml``."""
    master: bool = False
    """Whether this PC leads."""
    rig_version: str = __version__
    """Of the program that speaks."""
    spec_version: str = SPEC_VERSION
    """Of the messages."""

    def to_dict(self) -> dict[str, Any]:
        """Return it as it goes into a message."""
        return asdict(self)


def get_remote_devices_file(iblrig_settings: Mapping[str, Any] | None = None) -> Path | None:
    """Return the path of the lab's rigs file, which need not exist; None where the lab has no folder for it.

    Parameters
    ----------
    iblrig_settings : mapping, optional
        Its ``iblrig_remote_data_path`` is the lab's folder. Without the mapping, ``iblrig_settings.yaml`` is
        asked.

    Returns
    -------
    pathlib.Path or None
        None: no remote data path is set; then this PC's own file counts, see `rigs_file_for`.

    Raises
    ------
    ConfigError
        ``iblrig_settings.yaml`` holds something wrong.
    """
    if iblrig_settings is None:
        from multirig.ibl.settings import load_iblrig_settings

        iblrig_settings = load_iblrig_settings()
    lab_folder = iblrig_settings.get("iblrig_remote_data_path")
    return rigs_file_in(Path(lab_folder).expanduser()) if lab_folder else None


def rigs_file_for(iblrig_settings: Mapping[str, Any] | None = None) -> Path:
    """Return the path of the rigs file: the lab's, or without one the one that ``multirig rigs`` uses.

    Parameters and errors are those of `get_remote_devices_file`.
    """
    return get_remote_devices_file(iblrig_settings) or find_rigs_file()


def get_remote_devices(
    remote_devices_file: str | Path | None = None, iblrig_settings: Mapping[str, Any] | None = None
) -> dict[str, str]:
    """Return the rigs that the rigs file names.

    Parameters
    ----------
    remote_devices_file : str or pathlib.Path, optional
        The file, or the folder that it is in; without it `rigs_file_for` says which.
    iblrig_settings : mapping, optional
        See `get_remote_devices_file`.

    Returns
    -------
    dict of str to str
        Name and complete URI, such as ``{'cameras': 'udp://192.168.1.20:11001'}``; empty where the file is
        missing or empty.

    Raises
    ------
    ConfigError
        Something in the file is wrong.
    """
    if remote_devices_file is None:
        path = rigs_file_for(iblrig_settings)
    else:
        path = Path(remote_devices_file)
        path = rigs_file_in(path) if path.is_dir() else path
    roster = Roster.load(path)
    return {name: str(entry.uri) for name, entry in roster.entries.items()}


async def get_server_communicator(
    service_uri: str | bool | None, name: str
) -> tuple[EchoProtocol | None, bool]:
    """Listen for a conductor, and see to it that the rigs file says where.

    Parameters
    ----------
    service_uri : str, bool or None
        Where to listen. None, True or an empty text: at this PC's one address in the network, or at every
        address where it has several or none. False: nowhere.
    name : str
        The rig's name in the rigs file.

    Returns
    -------
    EchoProtocol or None
        None if `service_uri` is False.
    bool
        Whether the rigs file has it right; see `check_uri_match`.

    Raises
    ------
    ConfigError
        The address is none, or cannot be had.
    """
    if service_uri is False:
        return None, False
    from multirig.ibl.net.app import EchoProtocol

    if service_uri in (None, True, ""):
        everywhere = Uri("udp", "0.0.0.0", DEFAULT_PORT)
        own = await asyncio.to_thread(own_addresses)
        service_uri = str(choose_uri([everywhere], own).uri or everywhere)
    return await check_uri_match(await EchoProtocol.server(service_uri, name=name))


async def check_uri_match(com: EchoProtocol, update: bool | None = None) -> tuple[EchoProtocol, bool]:
    """Compare where a communicator listens with what the rigs file says, and correct the file.

    Host names are resolved before they are compared. An address that only this PC can reach is entered with a
    warning in the log; where this PC has several and the communicator listens at all of them, none is.

    Parameters
    ----------
    com : EchoProtocol
        A communicator that listens.
    update : bool, optional
        True: enter it in the file. False: leave the file as it is. None: enter it if there is a file.

    Returns
    -------
    EchoProtocol
        The same communicator.
    bool
        Whether the file has it right now.

    Raises
    ------
    RigsFileMissing
        `update` is True and there is no file; also a FileNotFoundError.
    ConfigError
        Something in the file is wrong.
    """
    path = await asyncio.to_thread(rigs_file_for)
    roster = await asyncio.to_thread(Roster.load, path)
    listening = Uri.parse(com.server_uri)
    entry = roster.entries.get(com.name)
    if entry is not None:
        if await _is_heard_at(listening, entry.uri):
            return com, True
        log.warning("%s has %s at %s, but it listens at %s", path, com.name, entry.uri, listening)
    if update is False:
        return com, False
    exists = await asyncio.to_thread(path.exists)
    if not exists and update:
        raise RigsFileMissing(
            f"{path}: there is no such file to enter {com.name} in: make it with multirig rigs add "
            f"{com.name} {listening}"
        )
    if not exists:
        return com, False
    # an address where it listens on purpose is published, whatever it is
    given = None if is_every_address(listening.host) else listening.host
    done = await asyncio.to_thread(register, path, com.name, [listening], given)
    log.log(logging.WARNING if done.is_doubtful else logging.INFO, "%s", done.text)
    return com, done.is_entered


async def _is_heard_at(listening: Uri, uri: Uri) -> bool:
    """Whether who listens at one address is heard at another, which may be written in another way."""
    if (listening.scheme, listening.port) != (uri.scheme, uri.port):
        return False
    if is_every_address(listening.host):
        here = {*await asyncio.to_thread(own_addresses), "127.0.0.1", "::1"}
    else:
        here = await _resolve(listening.host)
    return not here.isdisjoint(await _resolve(uri.host))


async def _resolve(host: str) -> set[str]:
    """Return the IP addresses of a host; none if its name is not known."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None)
    except OSError:
        return set()
    return {str(address[0]) for *_, address in found}


async def read_stdin(loop: asyncio.AbstractEventLoop | None = None) -> AsyncIterator[str]:
    """Yield the lines that are typed, until standard input is closed.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop, optional
        The running one, which is taken anyway.

    Yields
    ------
    str
        A line as it was typed, with its end.

    Notes
    -----
    A thread reads, which ends with the process: nobody has to press a key for that. When the generator is
    closed early, the line that is typed next is lost.
    """
    stdin = sys.stdin
    if stdin is None:  # a program without a console
        return
    running = loop or asyncio.get_running_loop()
    lines: asyncio.Queue[str | None] = asyncio.Queue()
    is_wanted = True

    def read() -> None:
        line: str | None = ""
        while line is not None and is_wanted:
            try:
                line = stdin.readline() or None
            except (ValueError, OSError):  # closed meanwhile
                line = None
            try:
                running.call_soon_threadsafe(lines.put_nowait, line)
            except RuntimeError:  # the loop has ended
                return

    threading.Thread(target=read, name="keyboard", daemon=True).start()
    try:
        while (line := await lines.get()) is not None:
            yield line
    finally:
        is_wanted = False
