"""What a rig tells of itself."""

from __future__ import annotations

import pytest

from multirig.lifecycle.rig_states import RigState
from multirig.rig.adapter import Health
from multirig.rig.snapshot import Snapshot


@pytest.mark.parametrize(
    ("state", "conductor", "silent", "is_left"),
    [
        (RigState.STOPPED, None, None, True),
        (RigState.BROKEN, None, None, True),
        (RigState.STOPPED, "pc", 100.0, True),
        (RigState.RUNNING, "pc", 100.0, True),
        (RigState.STOPPED, "pc", None, False),
        (RigState.RUNNING, None, None, False),
        (RigState.STOPPING, None, None, False),
        (RigState.CONNECTED, None, None, False),
    ],
)
def test_a_session_that_nobody_ends_any_more_is_left(
    state: RigState, conductor: str | None, silent: float | None, is_left: bool
) -> None:
    now = Snapshot(
        name="cam",
        state=state,
        exp_ref=None,
        failure=None,
        health=Health(),
        disk_free=0,
        conductor=conductor,
        conductor_silent=silent,
    )
    assert now.is_left is is_left
