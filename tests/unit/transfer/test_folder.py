"""A session folder in which others, too, have described what they record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from multirig.transfer.folder import FLAG, Part, close_part, open_part


@pytest.mark.parametrize(
    "odd",
    [
        {"devices": [1]},
        {"devices": "cameras"},
        {"devices": {"cameras": [1]}},
        {"devices": {"cameras": "left"}},
        {"sync": "nidq"},
        {"sync": ["nidq"]},
    ],
)
def test_an_odd_description_of_others_keeps_nobody_from_the_copiers(
    tmp_path: Path, odd: Any, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "raw_video_data").mkdir()
    theirs = tmp_path / "_ibl_experiment.description_behavior.yaml"
    theirs.write_text(yaml.safe_dump(odd), encoding="utf-8")
    cameras = {"devices": {"cameras": {"left": {"collection": "raw_video_data"}}}}
    open_part(tmp_path, "2026-01-31_1_SP_01", "cam", Part(device="video", description=cameras))
    done = Part(device="video", description=cameras, has_data=True)
    assert close_part(tmp_path, "2026-01-31_1_SP_01", "cam", done) is not None
    assert (tmp_path / FLAG).exists()
    assert f"{theirs}: is no experiment description" in caplog.text
    assert theirs.exists()
