"""What Windows does by itself is told before a session, with what to do."""

from __future__ import annotations

import datetime
from pathlib import PureWindowsPath
from typing import Any

import pytest

from multirig.pc.disturbers import (
    DEFENDER,
    LONG_PATHS,
    POWER_SAVER,
    UPDATE,
    UPDATE_POLICY,
    check_folder_place,
    check_power,
    check_updates,
)
from multirig.pc.finding import Level
from multirig.pc.reader import Reader

AT_NINE = datetime.datetime(2026, 11, 26, 21, tzinfo=datetime.timezone.utc)
HOUR = 3600.0
USB_ON = "x: 0x00000000\nAC: 0x00000001\nDC: 0x00000001\n"


def make_pc(
    system: str = "win32",
    programs: dict[str, str] | None = None,
    registry: dict[tuple[str, str], Any] | None = None,
    services: dict[str, str] | None = None,
) -> Reader:
    return Reader(
        system=system,
        run=lambda command: next(
            (told for part, told in (programs or {}).items() if part in " ".join(command)), ""
        ),
        read=lambda path: None,
        registry=lambda key, name: (registry or {}).get((key, name or "")),
        service=lambda name: (services or {}).get(name),
    )


def test_a_plan_that_saves_power_is_a_warning_and_usb_a_note() -> None:
    told = {"getactivescheme": f"GUID: {POWER_SAVER.upper()}  (Energiesparmodus)", "2a737441": USB_ON}
    assert [(one.check, one.level) for one in check_power(make_pc(programs=told))] == [
        ("power", Level.WARNING),
        ("usb", Level.NOTE),
    ]
    told = {"getactivescheme": "381b4222", "2a737441": USB_ON.replace("1\nDC", "0\nDC")}
    assert check_power(make_pc(programs=told)) == []
    assert check_power(make_pc("linux", programs={"getactivescheme": POWER_SAVER})) == []


@pytest.mark.parametrize(
    ("begin", "end", "seconds", "is_told"),
    [
        (8, 23, HOUR, False),
        (8, 23, 3 * HOUR, True),
        (8, 22, None, True),
        (18, 12, None, False),
        (18, 12, 15.5 * HOUR, True),
        (22, 12, HOUR, True),
        (6, 20, HOUR, True),
    ],
)
def test_a_session_that_meets_the_hours_of_restarts_is_told(
    begin: int, end: int, seconds: float | None, *, is_told: bool
) -> None:
    hours = {(UPDATE, "ActiveHoursStart"): begin, (UPDATE, "ActiveHoursEnd"): end}
    found = check_updates(make_pc(registry=hours), AT_NINE, seconds)
    assert bool(found) is is_told
    if found:
        assert f"from {end}:00 to {begin}:00" in found[0].text


def test_whoever_is_logged_on_is_not_restarted_where_that_is_set() -> None:
    hours = {(UPDATE, "ActiveHoursStart"): 6, (UPDATE, "ActiveHoursEnd"): 20}
    policy = {(UPDATE_POLICY, "NoAutoRebootWithLoggedOnUsers"): 1}
    assert check_updates(make_pc(registry={**hours, **policy}), AT_NINE, HOUR) == []
    assert check_updates(make_pc(), AT_NINE, HOUR) == []


@pytest.mark.parametrize(
    "folder",
    [
        r"C:\Users\lab\OneDrive\data",
        r"C:\Users\lab\OneDrive - University of X\data",
        r"D:\Dropbox (Lab)\rigs",
        r"G:\Google Drive\data",
    ],
)
def test_a_folder_of_a_cloud_is_a_warning(folder: str) -> None:
    (found,) = check_folder_place(make_pc(), PureWindowsPath(folder))
    assert found.level is Level.WARNING
    assert "cloud" in found.text


@pytest.mark.parametrize("folder", [r"D:\data", r"D:\OneDriver\data", r"D:\dropboxes"])
def test_any_other_folder_is_none(folder: str) -> None:
    assert check_folder_place(make_pc(), PureWindowsPath(folder)) == []


def test_a_folder_whose_paths_would_be_too_long_is_a_warning_unless_windows_takes_them() -> None:
    folder = PureWindowsPath("D:\\" + "\\".join(["a_long_name_of_a_folder"] * 6))
    (found,) = check_folder_place(make_pc(), folder)
    assert "259 letters" in found.text
    allowed: dict[tuple[str, str], Any] = {(LONG_PATHS, "LongPathsEnabled"): 1}
    assert check_folder_place(make_pc(registry=allowed), folder) == []


def test_a_virus_scanner_is_noted_with_what_leaves_the_data_alone() -> None:
    pc = make_pc(services={"windefend": "running"})
    (found,) = check_folder_place(pc, PureWindowsPath(r"D:\data"))
    assert (found.check, found.level) == ("scanner", Level.NOTE)
    assert r"-ExclusionPath 'D:\data'" in found.text
    off: dict[tuple[str, str], Any] = {(DEFENDER, "DisableRealtimeMonitoring"): 1}
    assert (
        check_folder_place(
            make_pc(services={"windefend": "running"}, registry=off), PureWindowsPath(r"D:\data")
        )
        == []
    )
