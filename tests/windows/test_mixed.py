"""A session of both systems: a Windows rig and a Linux conductor, and the other way round."""

from __future__ import annotations

import subprocess

import pytest
from tests.windows.programs import HERE, LIMIT, Rigs, judge
from tests.windows.wine import Windows

RUN = ["run", "--rigs-file", "rigs.yaml", "--data", "pc", "--subject", "SP_01", "--seconds", "2", "--remote"]
CAMERA = {"type": "camera", "cameras": [{"label": "left", "source": "test", "fps": 30, "size": [320, 240]}]}


@pytest.mark.parametrize("scheme", ["udp", "tcp"])
def test_a_linux_pc_leads_windows_rigs(rigs: Rigs, scheme: str) -> None:
    rigs.start("ephys", on_windows=True, scheme=scheme, main_sync=True)
    rigs.start("camera", on_windows=True, scheme=scheme, adapter=CAMERA)
    rigs.start("here", on_windows=False, scheme=scheme)
    rigs.write()
    done = subprocess.run(
        [*HERE, *RUN, *rigs.addresses],
        cwd=rigs.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert judge(rigs.folder)["verdict"] == "GOOD", done.stdout + done.stderr
    assert list((rigs.folder / "camera").rglob("_iblrig_leftCamera.raw.mp4"))


@pytest.mark.parametrize("scheme", ["udp", "tcp"])
def test_a_windows_pc_leads_linux_rigs(rigs: Rigs, windows: Windows, scheme: str) -> None:
    rigs.start("ephys", on_windows=False, scheme=scheme, main_sync=True)
    rigs.start("camera", on_windows=False, scheme=scheme, adapter=CAMERA)
    rigs.start("there", on_windows=True, scheme=scheme)
    rigs.write()
    code, printed = windows.run("-m", "multirig", *RUN, *rigs.addresses, cwd=rigs.folder, limit=LIMIT)
    assert code == 0, printed
    assert judge(rigs.folder)["verdict"] == "GOOD", printed
