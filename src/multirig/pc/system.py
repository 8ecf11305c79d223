"""What the system tells of clock, sleep and restarts; each system has its own ways to say it."""

from __future__ import annotations

import datetime
import re

from multirig.pc.finding import Finding, Level
from multirig.pc.reader import Reader
from multirig.wording import about

W32TIME = r"SYSTEM\CurrentControlSet\Services\W32Time"
DISABLED = 4
"""A Windows service that does not start, whoever asks."""
RESTART_KEYS = (
    r"SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootPending",
    r"SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\RebootRequired",
)
"""Keys that are there as long as Windows waits for a restart."""
SESSION_MANAGER = r"SYSTEM\CurrentControlSet\Control\Session Manager"
POWERCFG = ("powercfg", "/query", "SCHEME_CURRENT", "SUB_SLEEP")
GNOME_SLEEP = ("gsettings", "get", "org.gnome.settings-daemon.plugins.power")
SLEEP_TARGETS = ("sleep.target", "suspend.target")


# -- clock ---------------------------------------------------------------------------------------------------


def check_clock(pc: Reader, now: datetime.datetime) -> list[Finding]:
    """Return in which zone this PC is, and whether a time server sets its clock."""
    zone = f"{now.tzname() or 'no zone'} (UTC{now:%z})"
    match pc.system:
        case "win32":
            trouble = _find_windows_clock_trouble(pc)
        case "linux":
            trouble = _find_linux_clock_trouble(pc)
        case _:
            trouble = (Level.NOTE, "this system does not tell whether a time server sets the clock")
    if trouble is None:
        return [_finding("clock", Level.OK, f"{zone}, set by a time server")]
    level, text = trouble
    return [_finding("clock", level, f"{zone}; {text}")]


def _find_windows_clock_trouble(pc: Reader) -> tuple[Level, str] | None:
    kind = pc.registry(rf"{W32TIME}\Parameters", "Type")
    if kind is None:
        return Level.NOTE, "Windows does not tell whether a time server sets the clock"
    if str(kind).lower() == "nosync" or pc.registry(W32TIME, "Start") == DISABLED:
        return (
            Level.WARNING,
            "no time server sets the clock: switch on Settings > Time > Set time automatically",
        )
    if pc.service("w32time") == "stopped":
        return (
            Level.NOTE,
            "the time service is not running now: 'w32tm /resync' as administrator sets the clock",
        )
    return None


def _find_linux_clock_trouble(pc: Reader) -> tuple[Level, str] | None:
    told = dict(line.split("=", 1) for line in pc.run(("timedatectl", "show")).splitlines() if "=" in line)
    if told.get("NTPSynchronized") == "yes":
        return None
    if told.get("NTP") == "no":
        return Level.WARNING, "no time server sets the clock: sudo timedatectl set-ntp true"
    if told.get("NTP") == "yes":
        return Level.WARNING, "the time server has not been reached yet: check the network"
    return Level.NOTE, "this system does not tell whether a time server sets the clock"


# -- sleep ---------------------------------------------------------------------------------------------------


def check_sleep(pc: Reader) -> list[Finding]:
    """Return whether this PC goes to sleep when nobody touches it."""
    match pc.system:
        case "win32":
            after, how = _read_windows_sleep(pc), "Settings > Power > Sleep: Never"
        case "darwin":
            after, how = _read_mac_sleep(pc), "sudo pmset -c sleep 0"
        case "linux":
            after, how = _read_linux_sleep(pc), "sudo systemctl mask sleep.target suspend.target"
        case _:
            after, how = None, ""
    if after is None:
        text = "this system does not tell whether it goes to sleep; it is kept awake while it records"
        return [_finding("sleep", Level.NOTE, text)]
    if not after:
        return [_finding("sleep", Level.OK, "does not go to sleep by itself")]
    text = (
        f"goes to sleep after {about(after)} without a touch; it is kept awake while it records, but a PC "
        f"that sleeps is not found before: {how}"
    )
    return [_finding("sleep", Level.WARNING, text)]


def _read_windows_sleep(pc: Reader) -> float | None:
    """Return after how many seconds on mains Windows sleeps or hibernates; 0: never."""
    spans = [parse_powercfg(pc.run((*POWERCFG, setting))) for setting in ("STANDBYIDLE", "HIBERNATEIDLE")]
    known = [one for one in spans if one is not None]
    return min((one for one in known if one), default=0.0) if known else None


def parse_powercfg(text: str) -> float | None:
    """Return the value for mains: the last but one of the numbers, since the words are in any language."""
    numbers = re.findall(r":\s*0x([0-9a-fA-F]{8})\s*$", text, re.MULTILINE)
    return float(int(numbers[-2], 16)) if len(numbers) >= 2 else None


def _read_mac_sleep(pc: Reader) -> float | None:
    found = re.search(r"^\s*sleep\s+(\d+)", pc.run(("pmset", "-g")), re.MULTILINE)
    return 60.0 * int(found[1]) if found else None


def _read_linux_sleep(pc: Reader) -> float | None:
    """Return 0 where sleep is masked or the desktop leaves it alone."""
    targets = pc.run(("systemctl", "is-enabled", *SLEEP_TARGETS)).split()
    if len(targets) == len(SLEEP_TARGETS) and set(targets) == {"masked"}:
        return 0.0
    kind = pc.run((*GNOME_SLEEP, "sleep-inactive-ac-type")).strip().strip("'")
    if kind in ("suspend", "hibernate"):
        seconds = pc.run((*GNOME_SLEEP, "sleep-inactive-ac-timeout")).strip()
        return float(seconds) if seconds.isdecimal() else None
    return 0.0 if kind else None


# -- restarts ------------------------------------------------------------------------------------------------


def check_restart(pc: Reader) -> list[Finding]:
    """Return whether this PC waits for a restart, which an update may bring in the middle of a session."""
    match pc.system:
        case "win32" if any(pc.registry(key, None) for key in RESTART_KEYS):
            text = (
                "an update waits for a restart and may bring it by itself: restart this PC before the session"
            )
            return [_finding("restart", Level.WARNING, text)]
        case "win32" if pc.registry(SESSION_MANAGER, "PendingFileRenameOperations"):
            text = "a program waits for the next restart to finish its installation"
            return [_finding("restart", Level.NOTE, text)]
        case "linux" if pc.read("/run/reboot-required") is not None:
            text = "an update waits for a restart: restart this PC when no session goes on"
            return [_finding("restart", Level.NOTE, text)]
        case "win32" | "linux":
            return [_finding("restart", Level.OK, "no restart is pending")]
    return []


def _finding(check: str, level: Level, text: str) -> Finding:
    return Finding(check=check, level=level, text=text)
