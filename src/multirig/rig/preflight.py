"""What a rig finds of itself and its PC before a session."""

from __future__ import annotations

import datetime
import platform
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import entry_points

from multirig.config import RigConfig
from multirig.errors import AdapterError
from multirig.keyring.saying import say_allowed, say_open
from multirig.pc.checking import Check, run_checks
from multirig.pc.disk import check_disk, check_folder
from multirig.pc.disturbers import check_folder_place, check_power, check_updates
from multirig.pc.finding import Finding, Level
from multirig.pc.instant import may_go_first
from multirig.pc.network import check_network, find_listeners
from multirig.pc.reader import Reader, this_pc
from multirig.pc.system import check_clock, check_restart, check_sleep
from multirig.rig.adapter import Adapter, Left, TakesBack
from multirig.rig.loading import GROUP
from multirig.rig.pipeline import check_server
from multirig.rig.rate import rate_file, recall_rate
from multirig.version import __version__
from multirig.wording import discreet


async def check_rig(
    config: RigConfig, adapter: Adapter, seconds: float | None, *, is_idle: bool
) -> list[Finding]:
    """Return what speaks for and against a session on this rig.

    Parameters
    ----------
    config : RigConfig
        Of the rig.
    adapter : Adapter
        Its adapter; it is not asked while it is in a session.
    seconds : float or None
        How long the session shall be; None: until it is ended.
    is_idle : bool
        Whether no session goes on here.
    """
    pc = this_pc()
    folder = config.data_folder

    def rate() -> float | None:
        return recall_rate(rate_file(folder, config.name), config.adapter)

    checks: dict[str, Check] = {
        "disk": lambda: check_disk(folder, rate(), seconds),
        "folder": lambda: check_folder(folder, rate()),
        "adapter": lambda: _check_adapter(config.adapter.type, adapter),
        "version": lambda: _tell_versions(config.adapter.type),
        "clock": lambda: check_clock(pc, datetime.datetime.now().astimezone()),
        "network": lambda: _check_network(pc, config),
        "sleep": lambda: check_sleep(pc),
        "power": lambda: check_power(pc),
        "restart": lambda: check_restart(pc),
        "updates": lambda: check_updates(pc, datetime.datetime.now(), seconds),
        "place": lambda: check_folder_place(pc, folder),
        "start": _check_priority,
        "server": lambda: check_server(config),
        "key": lambda: _check_who_is_let_in(config),
    }
    if not is_idle:
        del checks["adapter"]
    return [replace(one, text=discreet(one.text)) for one in await run_checks(checks)]


def _check_who_is_let_in(config: RigConfig) -> list[Finding]:
    """Return by whom the rig lets itself be led without a key."""
    if config.open:
        return [Finding(check="key", level=Level.WARNING, text=say_open())]
    if config.allow_ibl:
        return [Finding(check="key", level=Level.NOTE, text=say_allowed(config.allow_ibl))]
    return []


def _check_network(pc: Reader, config: RigConfig) -> list[Finding]:
    """Return what is said of the network; who asks from another PC was let in, whatever the rules say."""
    listeners = find_listeners((one.scheme, one.host, one.port) for one in config.uri)
    return [one for one in check_network(pc, listeners) if one.check == "network"]


def _check_adapter(name: str, adapter: Adapter) -> Iterator[Finding]:
    try:
        adapter.check()
    except AdapterError as error:
        yield Finding(check="adapter", level=Level.FAILURE, text=error.message)
        return
    left = adapter.find_left() if isinstance(adapter, TakesBack) else Left()
    for text in left.others:
        yield Finding(check="adapter", level=Level.WARNING, text=text)
    if left.own is not None:
        text = f"{left.own}, still runs and is watched by nobody: it is ended before the next session begins"
        yield Finding(check="adapter", level=Level.WARNING, text=text)
    elif not left.others:
        yield Finding(
            check="adapter",
            level=Level.OK,
            text=f"{name}: nothing speaks against it; it is opened when a session begins",
        )


def _check_priority() -> Iterator[Finding]:
    if may_go_first():
        text = "this program may run before others at the instant of a start"
        yield Finding(check="start", level=Level.OK, text=text)
    else:
        text = (
            "this program may not run before others: while the PC is busy a start may be some ms late, which "
            "is told; the page Time says how to allow it (rtprio)"
        )
        yield Finding(check="start", level=Level.NOTE, text=text)


def _tell_versions(adapter: str) -> Iterator[Finding]:
    """Name the versions; whether they go together is judged where those of all PCs are known."""
    brought = next((one.dist for one in entry_points(group=GROUP, name=adapter) if one.dist), None)
    package = f"{brought.name} {brought.version}" if brought else "this program"
    text = (
        f"multirig {__version__}, adapter {adapter} of {package}, "
        f"Python {platform.python_version()} on {platform.system()} {platform.release()}"
    )
    yield Finding(check="version", level=Level.OK, text=text)
