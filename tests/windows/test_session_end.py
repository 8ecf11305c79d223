"""The user logs off, or the PC shuts down, while a Windows rig records."""

from __future__ import annotations

from pathlib import Path

import yaml
from tests.windows.programs import LIMIT, wait_for
from tests.windows.wine import Windows


def test_a_log_off_ends_a_recording_in_good_order(windows: Windows, tmp_path: Path) -> None:
    config = {"name": "cam", "uri": "udp://127.0.0.1:0", "data_folder": "./data", "log_folder": "./log"}
    (tmp_path / "rig.yaml").write_text(
        yaml.safe_dump({**config, "main_sync": True, "adapter": {"type": "fake"}})
    )
    with windows.start("-m", "multirig", "serve", "rig.yaml", "--plain", cwd=tmp_path) as rig:
        try:
            wait_for(rig, "ready at")
            assert rig.stdin is not None
            rig.stdin.write(b"start SP_01\n")
            rig.stdin.flush()
            wait_for(rig, "cam is running")
            windows.end_session()
            wait_for(rig, "cam is stopped")
            wait_for(rig, "cam ended")
            assert rig.wait(LIMIT) == 0
        finally:
            rig.kill()
    [table] = (tmp_path / "data").rglob("fake.csv")
    assert table.read_bytes().endswith(b"\n")
    assert list((tmp_path / "data").rglob("_multirig_manifest.cam.json"))
