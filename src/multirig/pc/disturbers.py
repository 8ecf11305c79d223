"""What Windows does by itself in the middle of a recording: power plan, USB, restarts, virus scanner."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from pathlib import PurePath

from multirig.pc.finding import Finding, Level
from multirig.pc.reader import Reader
from multirig.pc.system import parse_powercfg

POWER_SAVER = "a1841308-3541-4fab-bc81-b15eb7a8fec8"
"""The plan that keeps the processor slow, as every Windows calls it."""
USB = ("2a737441-1930-4402-8d77-b2bebba308a3", "48e6b7a6-50f5-4782-a5d4-53bb8f07e226")
"""Group and setting: may USB devices be suspended?"""
UPDATE = r"SOFTWARE\Microsoft\WindowsUpdate\UX\Settings"
UPDATE_POLICY = r"SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate\AU"
DEFENDER = r"SOFTWARE\Microsoft\Windows Defender\Real-Time Protection"
LONG_PATHS = r"SYSTEM\CurrentControlSet\Control\FileSystem"
LONGEST, BELOW = 259, 130
"""Letters that a path may have in Windows, and what a session's path usually has below the data folder."""
UNTIL_ENDED = 90 * 60.0
"""Seconds that are looked ahead where nobody says how long a session shall be."""
CLOUDS = ("onedrive", "dropbox", "google drive", "nextcloud", "box sync", "icloud drive")


def check_power(pc: Reader) -> list[Finding]:
    """Return whether Windows saves power where a recording needs it."""
    if pc.system != "win32":
        return []
    found = []
    if POWER_SAVER in pc.run(("powercfg", "/getactivescheme")).lower():
        text = "the power plan keeps the processor slow to save power: powercfg /setactive SCHEME_BALANCED"
        found.append(Finding(check="power", level=Level.WARNING, text=text))
    if parse_powercfg(pc.run(("powercfg", "/query", "SCHEME_CURRENT", *USB))):
        text = (
            "Windows may put USB devices to sleep: if cameras vanish, "
            f"powercfg /setacvalueindex SCHEME_CURRENT {' '.join(USB)} 0; powercfg /setactive SCHEME_CURRENT"
        )
        found.append(Finding(check="usb", level=Level.NOTE, text=text))
    return found


def check_updates(pc: Reader, now: datetime.datetime, seconds: float | None) -> list[Finding]:
    """Return whether Windows may restart by itself before a session is over.

    Parameters
    ----------
    pc : Reader
        The PC.
    now : datetime.datetime
        Its time of day.
    seconds : float or None
        How long the session shall be; None: until it is ended.
    """
    begin, end = pc.registry(UPDATE, "ActiveHoursStart"), pc.registry(UPDATE, "ActiveHoursEnd")
    if pc.system != "win32" or not isinstance(begin, int) or not isinstance(end, int):
        return []
    if pc.registry(UPDATE_POLICY, "NoAutoRebootWithLoggedOnUsers"):
        return []
    span = datetime.timedelta(seconds=UNTIL_ENDED if seconds is None else seconds)
    if _is_within(now, span, begin, end):
        return []
    text = (
        f"Windows may restart for an update from {end}:00 to {begin}:00, which the session would "
        "meet: Settings > Windows Update > Pause, or other active hours"
    )
    return [Finding(check="restart", level=Level.NOTE, text=text)]


def _is_within(now: datetime.datetime, span: datetime.timedelta, begin: int, end: int) -> bool:
    """Whether a session lies within the hours in which Windows does not restart."""
    since = (now.hour - begin) % 24 + now.minute / 60
    return since + span.total_seconds() / 3600 <= (end - begin) % 24


def check_folder_place(pc: Reader, folder: PurePath) -> list[Finding]:
    """Return whether something else takes hold of what is written to a folder."""
    return [*_find_cloud(folder)] + ([*_find_windows_troubles(pc, folder)] if pc.system == "win32" else [])


def _find_cloud(folder: PurePath) -> Iterator[Finding]:
    for part in folder.parts:
        if any(re.fullmatch(rf"{cloud}\b.*", part, re.IGNORECASE) for cloud in CLOUDS):
            text = (
                f"{folder} is kept in step with a cloud, which holds files while they are written and may "
                "move them away: choose a folder outside of it for the data"
            )
            yield Finding(check="folder", level=Level.WARNING, text=text)
            return


def _find_windows_troubles(pc: Reader, folder: PurePath) -> Iterator[Finding]:
    if len(str(folder)) + BELOW > LONGEST and not pc.registry(LONG_PATHS, "LongPathsEnabled"):
        text = (
            f"{folder} is so long that paths of a session may have more than {LONGEST} letters, which "
            "Windows refuses: choose a shorter data folder, such as D:\\data"
        )
        yield Finding(check="folder", level=Level.WARNING, text=text)
    if pc.service("windefend") == "running" and not pc.registry(DEFENDER, "DisableRealtimeMonitoring"):
        text = (
            "Microsoft Defender reads every file that is written; if frames are dropped, leave the data out, "
            f"in PowerShell as administrator: Add-MpPreference -ExclusionPath '{folder}'"
        )
        yield Finding(check="scanner", level=Level.NOTE, text=text)
