"""What ``multirig show`` prints of clocks, starts and markers."""

from __future__ import annotations

import datetime
import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table
from rich.text import Text

from multirig.cli import accounts, render
from multirig.protocol.words import RigStart
from multirig.record.account import Account
from multirig.record.catalogue import Listed
from multirig.record.summary import Incident, Marker, RigSummary
from multirig.record.timing import ClockSummary, Spread
from multirig.record.verdict import Word


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    text = io.StringIO()
    monkeypatch.setattr(render, "out", Console(file=text, width=200, highlight=False))
    return text


def rig(*, clock: ClockSummary | None = None, start: RigStart | None = None, within: float | None = None):
    return RigSummary(
        address="udp://10.0.0.1:11001", was_started=True, clock=clock, start=start, started_within=within
    )


def test_starts_and_clocks_are_told_with_their_bounds(printed: io.StringIO) -> None:
    clock = ClockSummary(
        at=9.0, offset=-3.25, bound=0.00004, drift=4.2, round_trip=0.00021, steps=0, readings=7
    )
    known = rig(clock=clock, start=RigStart(called=1.0, bound=0.00004))
    told = Account(
        rigs={"cam": known, "ephys": known, "old": rig(within=0.03)},
        start_spread=Spread(seconds=0.00008, bound=0.00003, rigs=2, earliest="ephys", latest="cam"),
    )
    accounts.show_timing(told)
    lines = [line.strip() for line in printed.getvalue().splitlines()]
    assert lines[0] == "2 rigs started within 0.080 ms ± 0.030 ms of each other: ephys first, cam last"
    assert lines[1] == "old does not tell when it started: between the command and its answer 30 ms later"
    assert lines[2] == (
        "clock of cam: 3.250000 s behind ± 0.040 ms, drift +4.20 ppm, round trip 0.21 ms, 7 readings"
    )
    assert lines[4] == "clock of old: not known, it is no multirig"


def test_markers_stand_among_what_happened_and_a_thousand_do_not_drown_it(printed: io.StringIO) -> None:
    markers = [
        Marker(at=100.0 + number, seconds=float(number), text=f"trial {number}", data={"side": "left"})
        for number in range(1000)
    ]
    happened = Incident(seconds=2.5, rig="cam", text="is not heard any more")
    accounts.show_summary(Account(markers=markers, happenings=[happened]))
    lines = [" ".join(line.split()) for line in printed.getvalue().splitlines()]
    told = [line for line in lines if line.startswith("+")]
    assert len(told) == accounts.SHOWN_MARKERS + 1
    assert told[2:4] == ["+2.0 s session marked: trial 2 (side left)", "+2.5 s cam is not heard any more"]
    assert lines[-1] == "and 980 more markers: --journal tells them all"


def listed(**known: Any) -> Listed:
    return Listed(
        **{
            "folder": Path("/data/mylab/Subjects/SP_01/2026-01-31/001"),
            "exp_ref": "2026-01-31_1_SP_01",
            "verdict": Word.DEGRADED,
            "date": datetime.date(2026, 1, 31),
            "number": 1,
            "subject": "SP_01",
            "word": "DEGRADED",
            "rigs": ("cameras", "ephys", "photometry"),
            "reason": "cameras: left had ended 3.5 s before the session was stopped: look at its cable",
            **known,
        }
    )


def test_a_list_is_a_row_a_line_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = io.StringIO()
    monkeypatch.setattr(render, "out", Console(file=pipe, highlight=False))
    accounts.show_sessions([listed(), listed(number=2)])
    render.show_table(["rig", "address"], [["a" * 70, "udp://" + "b" * 70]])
    lines = pipe.getvalue().splitlines()
    assert len(lines) == 5
    assert lines[1].endswith("DEGRADED          cameras, ephys, photometry  " + listed().reason)
    assert lines[4] == f"{'a' * 70}  udp://{'b' * 70}"


def test_in_a_terminal_of_80_columns_a_reason_is_a_line_and_no_column_of_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(
        render, "out", Console(file=screen, highlight=False, force_terminal=True, width=80, color_system=None)
    )
    accounts.show_sessions([listed(), listed(number=2, reason="")])
    lines = screen.getvalue().splitlines()
    assert len(lines) == 4
    assert lines[2] == f"  {listed().reason}"
    assert "cameras, ephys" in lines[1]


@pytest.mark.attack
def test_a_name_from_elsewhere_neither_clears_the_screen_nor_sets_a_link_nor_turns_round(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("out", "err"):
        text = io.StringIO()
        console = type(getattr(render, name))(file=text, width=80, force_terminal=True, highlight=False)
        monkeypatch.setattr(render, name, console)
        hostile = "\x1b[2Jcam\x1b]8;;http://evil\x07\u202e[red]x[/red]\x9b2J"
        console.print(Text.assemble(("✗ ", "bold red"), hostile))
        table = Table("rig")
        table.add_row(Text(hostile))
        console.print(table)
        said = text.getvalue()
        assert "\x1b[1;31m" in said  # our own colours stay
        assert "\x1b[2J" not in said
        assert not set("\x07\u202e\x9b") & set(said)
        assert "\x1b]" not in said
        assert said.count("[red]x") == 2


def test_a_warning_does_not_stand_on_the_line_that_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    text = io.StringIO()
    for stream in ("out", "err"):
        monkeypatch.setattr(render, stream, Console(file=text, force_terminal=True, width=80))
    with render.changing_line(Text("cameras  connected")) as live:
        live.refresh()
        before = len(text.getvalue())
        render.warn("refused a message")
        said = text.getvalue()[before:]
    assert "\x1b[2K" in said[: said.index("refused a message")]
    assert "cameras  connected" in said[said.index("refused a message") :]


def test_who_leads_sees_who_was_refused_while_it_waits_and_while_it_records(printed: io.StringIO) -> None:
    refused = {"10.0.0.9": 1, "192.168.1.77": 3}
    render.out.print(render.waiting_text("start", ["cam"], refused))
    render.out.print(render.watch_table(5.0, {}, refused))
    render.out.print(render.watch_table(5.0, {}, {}))
    waiting, recording, *_ = lines = [
        line.rstrip() for line in printed.getvalue().splitlines() if line.strip()
    ]
    assert waiting == "start      waits for cam  3 refused messages from 192.168.1.77"
    assert recording == "● recording for 5.00 s  3 refused messages from 192.168.1.77"
    assert "refused" not in lines[-1]
