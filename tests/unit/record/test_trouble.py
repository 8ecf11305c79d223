"""What is wrong with a rig, by what it says unasked."""

from __future__ import annotations

from multirig.protocol.words import Gap, Report, RigState
from multirig.record.trouble import find_trouble


def test_a_rig_that_records_on_after_its_program_had_died_was_stopped_by_nobody() -> None:
    resuming = Report(state=RigState.STARTING, gap=Gap(seconds=3.0))
    assert find_trouble(resuming, is_running=True) is None


def test_a_rig_that_does_not_record_any_more_was_stopped_there() -> None:
    for gap in (None, Gap(seconds=3.0)):
        trouble = find_trouble(Report(state=RigState.STOPPING, gap=gap), is_running=True)
        assert trouble is not None
        assert "stopped" in trouble
