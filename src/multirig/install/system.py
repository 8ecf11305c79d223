"""The one place that knows each system: who logs on here, where files go, and how commands are run."""

from __future__ import annotations

import contextlib
import getpass
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path, PurePosixPath, PureWindowsPath

from multirig.errors import MultirigError, why_not
from multirig.install.job import Job
from multirig.install.linux import plan_unit
from multirig.install.macos import plan_agent
from multirig.install.plan import Places, Plan, Way
from multirig.install.records import records_folder
from multirig.install.windows import plan_startup, plan_task
from multirig.state import log_folder
from multirig.writing import write_whole

COMMAND_LIMIT = 30.0
"""Seconds for one command of the system."""
PLANS: dict[Way, Callable[[Job, Places], Plan]] = {
    Way.TASK: plan_task,
    Way.STARTUP: plan_startup,
    Way.SYSTEMD: plan_unit,
    Way.LAUNCHD: plan_agent,
}
_STARTUP = r"Microsoft\Windows\Start Menu\Programs\Startup"
_LOCAL, _ROAMING = r"%LOCALAPPDATA%\multirig", r"%APPDATA%"


class Refused(MultirigError):
    """The system did not take what was to be installed."""


def this_system() -> str:
    """Return what this system is called on the command line."""
    return {"win32": "windows", "darwin": "macos"}.get(sys.platform, "linux")


def find_places(system: str) -> Places:
    """Return where files go: on this PC where it has that system, else as its users write it."""
    if system != this_system():
        return _elsewhere()
    home = Path.home()
    roaming = Path(os.environ.get("APPDATA") or home / "AppData" / "Roaming")
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    return Places(
        tasks=records_folder(),
        startup=roaming.joinpath(*PureWindowsPath(_STARTUP).parts),
        units=config / "systemd" / "user",
        agents=home / "Library" / "LaunchAgents",
        logs=log_folder(),
        user=_find_user(system),
    )


def _elsewhere() -> Places:
    home = PurePosixPath("/Users/YOU")
    return Places(
        tasks=PureWindowsPath(_LOCAL, "installed"),
        startup=PureWindowsPath(_ROAMING, _STARTUP),
        units=PurePosixPath("~/.config/systemd/user"),
        agents=home / "Library" / "LaunchAgents",
        logs=home / "Library" / "Logs" / "multirig",
        user=r"YOUR-PC\YOU",
    )


@cache
def _find_user(system: str) -> str:
    if system == "windows":
        # its identifier: names of some accounts of the cloud are not found again
        told = _run(("whoami", "/user", "/fo", "csv", "/nh"))[1]
        if found := re.search(r"S-1-[\d-]+\d", told):
            return found[0]
        domain = os.environ.get("USERDOMAIN") or platform.node()
        return rf"{domain}\{os.environ.get('USERNAME') or getpass.getuser()}"
    return str(os.getuid()) if sys.platform != "win32" else ""


def make_plan(way: Way, job: Job, system: str | None = None) -> Plan:
    """Return what is written and run for it."""
    system = system or this_system()
    places = find_places(system)
    if system == "macos" != this_system():
        places = replace(places, user="501")
    return PLANS[way](job, places)


def register(plan: Plan) -> None:
    """Have it started from the next log-on on. Raises Refused, and leaves nothing then."""
    file = Path(plan.file)
    try:
        before = file.read_bytes() if file.is_file() else None
        file.parent.mkdir(parents=True, exist_ok=True)
        if plan.way is Way.LAUNCHD:
            log_folder().mkdir(parents=True, exist_ok=True)
        write_whole(file, plan.content)
    except OSError as error:
        raise Refused(f"{file} cannot be written: {why_not(error)}") from None
    try:
        _run_all(plan.register)
    except Refused:
        with contextlib.suppress(OSError):
            file.unlink() if before is None else write_whole(file, before)
        raise


def start(plan: Plan) -> None:
    """Start it now. Raises Refused."""
    _run_all(plan.start)


def unregister(plan: Plan) -> None:
    """Start it no more at log-on; what runs goes on. Raises Refused where it still would be started."""
    if is_registered(plan):
        _run_all(plan.unregister)
    try:
        Path(plan.file).unlink(missing_ok=True)
    except OSError as error:
        raise Refused(f"{plan.file} cannot be removed: {why_not(error)}") from None


def forget(plan: Plan) -> None:
    """Do what remains when it has ended."""
    with contextlib.suppress(Refused):
        _run_all(plan.forget)


def is_registered(plan: Plan) -> bool:
    """Whether the system would start it at log-on."""
    if plan.look:
        return _run(plan.look)[0] == 0
    return Path(plan.file).is_file()


def find_passing(names: Sequence[str]) -> list[str]:
    """Return those of some variables that this terminal alone has: a task of Windows can be given none."""
    if sys.platform == "win32":
        import winreg

        def is_kept(name: str) -> bool:
            roots = (
                (winreg.HKEY_CURRENT_USER, "Environment"),
                (winreg.HKEY_LOCAL_MACHINE, r"SYSTEM\CurrentControlSet\Control\Session Manager\Environment"),
            )
            for root, key in roots:
                with contextlib.suppress(OSError), winreg.OpenKey(root, key) as opened:
                    winreg.QueryValueEx(opened, name)
                    return True
            return False

        return [name for name in names if os.environ.get(name) and not is_kept(name)]
    return []


def find_missing(way: Way) -> str | None:
    """Return why this PC cannot be told to start something, if it cannot."""
    if way is not Way.SYSTEMD:
        return None
    code, told = _run(("systemctl", "--user", "is-system-running"))
    if code is None or "bus" in told or "offline" in told:
        return f"systemd of this user does not answer (systemctl --user: {told.strip() or 'not there'})"
    return None


def lingers() -> bool:
    """Whether this user's units run while nobody is logged in."""
    return "yes" in _run(("loginctl", "show-user", getpass.getuser(), "--property=Linger"))[1]


def spell(command: Sequence[str], system: str | None = None) -> str:
    """Return a command as it is typed on a system, or on this PC."""
    is_windows = (system or this_system()) == "windows"
    return subprocess.list2cmdline(command) if is_windows else shlex.join(command)


def _run_all(commands: Sequence[Sequence[str]]) -> None:
    """Run commands; the last one must succeed: those before it clear the way. Raises Refused."""
    code: int | None = 0
    told = ""
    for command in commands:
        code, told = _run(command)
    if code != 0:
        said = " ".join(told.split()) or f"exit code {code}"
        raise Refused(f"{' '.join(commands[-1])}: {said}")


def _run(command: Sequence[str]) -> tuple[int | None, str]:
    """Run a command of the system; return its exit code, None where there is none such, and its words."""
    program = shutil.which(command[0])
    if program is None:
        return None, f"there is no {command[0]} on this PC"
    try:
        done = subprocess.run(
            [program, *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=COMMAND_LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None, f"no answer in {COMMAND_LIMIT:g} s"
    except OSError as error:
        return None, why_not(error)
    encoding = "oem" if sys.platform == "win32" else "utf-8"  # Windows' programs speak as its console does
    return done.returncode, done.stdout.decode(encoding, errors="replace")
