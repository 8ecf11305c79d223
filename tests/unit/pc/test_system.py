"""What other systems tell is put in front of the checks, since each runs on one system only."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from multirig.pc.finding import Level
from multirig.pc.reader import Reader
from multirig.pc.system import (
    RESTART_KEYS,
    SESSION_MANAGER,
    W32TIME,
    check_clock,
    check_restart,
    check_sleep,
    parse_powercfg,
)

NOW = datetime.datetime(2026, 11, 26, 12, tzinfo=datetime.timezone(datetime.timedelta(hours=1), "CET"))
GERMAN_POWERCFG = """
GUID des Energieschemas: 381b4222-f694-41f0-9685-ff5bb260df2e  (Ausbalanciert)
    GUID der Energieeinstellung: 29f6c1db-86da-48c5-9fdb-f2b67b1f44da  (Standbymodus nach)
      Mögliche Mindesteinstellung: 0x00000000
      Mögliche Maximaleinstellung: 0xffffffff
      Mögliche Einstellungsschritte: 0x00000001
    Index der aktuellen Wechselstromeinstellung: 0x00000708
    Index der aktuellen Gleichstromeinstellung: 0x00000384
"""
NEVER = GERMAN_POWERCFG.replace("0x00000708", "0x00000000")


def make_pc(
    system: str,
    programs: Mapping[str, str] | None = None,
    files: Mapping[str, str] | None = None,
    registry: Mapping[tuple[str, str | None], Any] | None = None,
    services: Mapping[str, str] | None = None,
) -> Reader:
    def run(command: Sequence[str]) -> str:
        asked = " ".join(command)
        return next((told for part, told in (programs or {}).items() if part in asked), "")

    return Reader(
        system=system,
        run=run,
        read=lambda path: (files or {}).get(path),
        registry=lambda key, name: (registry or {}).get((key, name)),
        service=lambda name: (services or {}).get(name),
    )


WINDOWS_CLOCK: dict[tuple[str, str | None], Any] = {
    (rf"{W32TIME}\Parameters", "Type"): "NTP",
    (W32TIME, "Start"): 3,
}


@pytest.mark.parametrize(
    ("pc", "level", "words"),
    [
        (make_pc("win32", registry=WINDOWS_CLOCK, services={"w32time": "running"}), Level.OK, "time server"),
        (
            make_pc("win32", registry=WINDOWS_CLOCK, services={"w32time": "stopped"}),
            Level.NOTE,
            "w32tm /resync",
        ),
        (
            make_pc("win32", registry={**WINDOWS_CLOCK, (rf"{W32TIME}\Parameters", "Type"): "NoSync"}),
            Level.WARNING,
            "Set time automatically",
        ),
        (
            make_pc("win32", registry={**WINDOWS_CLOCK, (W32TIME, "Start"): 4}),
            Level.WARNING,
            "no time server",
        ),
        (make_pc("win32"), Level.NOTE, "does not tell"),
        (make_pc("linux", {"timedatectl": "NTP=yes\nNTPSynchronized=yes\n"}), Level.OK, "time server"),
        (make_pc("linux", {"timedatectl": "NTP=no\nNTPSynchronized=no\n"}), Level.WARNING, "set-ntp true"),
        (
            make_pc("linux", {"timedatectl": "NTP=yes\nNTPSynchronized=no\n"}),
            Level.WARNING,
            "not been reached",
        ),
        (make_pc("linux"), Level.NOTE, "does not tell"),
        (make_pc("darwin"), Level.NOTE, "does not tell"),
    ],
)
def test_the_clock_is_judged_by_who_sets_it(pc: Reader, level: Level, words: str) -> None:
    (found,) = check_clock(pc, NOW)
    assert found.level is level
    assert words in found.text
    assert found.text.startswith("CET (UTC+0100)")


@pytest.mark.parametrize(
    ("pc", "level", "words"),
    [
        (make_pc("win32", {"powercfg": GERMAN_POWERCFG}), Level.WARNING, "after 30 min"),
        (make_pc("win32", {"powercfg": NEVER}), Level.OK, "does not go to sleep"),
        (make_pc("win32", {"STANDBYIDLE": NEVER, "HIBERNATEIDLE": GERMAN_POWERCFG}), Level.WARNING, "30 min"),
        (make_pc("win32"), Level.NOTE, "does not tell"),
        (make_pc("darwin", {"pmset": " standby  1\n sleep   10 (held by x)\n"}), Level.WARNING, "10 min"),
        (make_pc("darwin", {"pmset": " sleep   0\n"}), Level.OK, "does not go to sleep"),
        (make_pc("linux", {"systemctl": "masked\nmasked\n"}), Level.OK, "does not go to sleep"),
        (
            make_pc(
                "linux", {"systemctl": "static\nstatic\n", "ac-type": "'suspend'\n", "timeout": "1200\n"}
            ),
            Level.WARNING,
            "20 min",
        ),
        (make_pc("linux", {"ac-type": "'nothing'\n"}), Level.OK, "does not go to sleep"),
        (make_pc("linux", {"systemctl": "static\nstatic\n"}), Level.NOTE, "does not tell"),
        (make_pc("freebsd"), Level.NOTE, "does not tell"),
    ],
)
def test_a_pc_that_goes_to_sleep_is_a_warning(pc: Reader, level: Level, words: str) -> None:
    (found,) = check_sleep(pc)
    assert found.level is level
    assert words in found.text


@pytest.mark.parametrize(
    ("pc", "level"),
    [
        (make_pc("win32", registry={(RESTART_KEYS[0], None): True}), Level.WARNING),
        (make_pc("win32", registry={(RESTART_KEYS[1], None): True}), Level.WARNING),
        (
            make_pc("win32", registry={(SESSION_MANAGER, "PendingFileRenameOperations"): ["a", ""]}),
            Level.NOTE,
        ),
        (make_pc("win32"), Level.OK),
        (make_pc("linux", files={"/run/reboot-required": ""}), Level.NOTE),
        (make_pc("linux"), Level.OK),
    ],
)
def test_a_pending_restart_is_told(pc: Reader, level: Level) -> None:
    (found,) = check_restart(pc)
    assert found.level is level


def test_a_system_that_knows_no_pending_restarts_tells_nothing() -> None:
    assert check_restart(make_pc("darwin")) == []


def test_powercfg_is_read_in_any_language() -> None:
    assert parse_powercfg(GERMAN_POWERCFG) == 1800
    assert parse_powercfg("Zugriff verweigert") is None
