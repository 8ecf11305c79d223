"""What a rig's config makes of its rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from multirig.config import RigConfig
from multirig.protocol.dialect import hear_rig, write
from multirig.protocol.words import Report
from multirig.rig.adapters.fake import Fake
from multirig.rig.rules import make_machine


@pytest.mark.parametrize("is_open", [True, False])
def test_a_rig_that_lets_in_everybody_tells_whoever_looks_on(tmp_path: Path, is_open: bool) -> None:
    config = RigConfig.model_validate(
        {"name": "cameras", "data_folder": tmp_path, "adapter": {"type": "fake"}, "open": is_open}
    )
    told = write(make_machine(config, Fake(), None).report())
    heard = hear_rig(told)
    assert isinstance(heard, Report)
    assert heard.is_open is is_open
    assert ("open" in told.args[1]) is is_open  # 0.1 said nothing of it
