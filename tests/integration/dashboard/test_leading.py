"""A session's own process, from the console's side: begin, watch, mark, stop, find again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from multirig.dashboard.leading.client import read_last
from multirig.dashboard.snapshot import Outcome, Step

LIMIT = 30.0
"""Seconds for what a process of its own does, on a busy machine."""


@pytest.mark.limit(90)
async def test_a_session_is_begun_watched_marked_stopped_and_judged(lab: Any, desk: Any, until: Any) -> None:
    await lab.rigs_of_a_session("cam", over="udp")
    leader = await desk.begin(projects=("ours",), procedures=("Behavior training/tasks",))
    changes: list[str] = []
    leader.on_change(lambda: changes.append(leader.session.state))

    await until(lambda: leader.session.began_at is not None, LIMIT)
    await leader.mark("the door was opened")
    await until(lambda: leader.session.markers, LIMIT)
    await until(lambda: set(leader.session.news) == {"main", "cam"}, LIMIT)
    await leader.stop()
    await until(lambda: leader.session.is_over, LIMIT)

    now = leader.session
    assert now.verdict == "GOOD"
    assert now.trouble is None
    assert [one.text for one in now.markers] == ["the door was opened"]
    assert "running" in changes
    done = {(one.rig, one.step) for one in now.steps if one.outcome is Outcome.DONE}
    assert done == {
        (rig, step)
        for rig in ("main", "cam")
        for step in (Step.AGREE, Step.INITIALISE, Step.START, Step.STOP, Step.CLEAN_UP)
    }
    assert now.spread is not None
    described = yaml.safe_load((Path(now.folder or "") / "_ibl_experiment.description.yaml").read_text())
    assert set(described["remote_rigs"]) == {"main", "cam"}
    assert described["projects"] == ["ours"]
    assert described["procedures"] == ["Behavior training/tasks"]
    await until(lambda: read_last(desk.state_file) == now)
