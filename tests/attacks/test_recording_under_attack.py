"""A default lab that records while everything is thrown at it: each frame is kept, the leader leads on."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from multirig.trust.roles import Role

pytestmark = [pytest.mark.attack, pytest.mark.limit(170), pytest.mark.timeout(180)]

STRANGER, IBL = "10.90.0.77", "10.90.0.78"
"""Two more PCs of the network: nobody's, and one that is named in `allow_ibl`."""
RATE = 10_000
"""Forged datagrams a second."""
SECONDS = 3.0 if os.environ.get("MULTIRIG_FUZZ") else 0.4
"""Of each kind."""
KINDS = 15
FPS = 30
CAMERA = {"type": "camera", "cameras": [{"label": "left", "source": "test", "fps": FPS, "size": [160, 120]}]}
CONNECTIONS = 500
MOST_LINES = 40
"""That strangers may cause in a rig's log, whatever they send."""


def read_verdict(folder: Path) -> dict[str, Any]:
    [path] = folder.rglob("_multirig_verdict.json")
    return dict(json.loads(path.read_text(encoding="utf-8")))


async def test_every_frame_is_kept_under_floods_of_each_kind_and_500_connections(
    keyed_lab: Any, note: Any
) -> None:
    lab = keyed_lab
    async with lab.cable, lab:
        for address in (STRANGER, IBL):
            lab.cable.here(f"ip address add {address}/24 dev wire")
        there = lab.add_pc("video-pc", Role.RIG)
        cameras = await lab.open_rig(there, adapter=CAMERA, allow_ibl=[IBL])
        ephys = await lab.open_rig(
            lab.add_pc("ephys-pc", Role.RIG), "ephys", scheme="tcp", port=11003, main_sync=False
        )
        lasts = 8 + KINDS * (SECONDS + 0.15)
        program = lab.lead(lab.add_pc("behaviour-pc", Role.LEAD), "--seconds", f"{lasts:.0f}")
        await ephys.does("start")
        named = [
            [64, 0, {"take_over": True}],
            [16, {"take_over": True}],
            [2, "2026-11-29_1_x"],
            [4, {}],
            [8, {}],
        ]
        dialled, flooded, said, unnamed = await asyncio.gather(
            lab.harm("dial", ephys, own=STRANGER, count=CONNECTIONS, seconds=11.0),
            lab.harm("flood", cameras, own=STRANGER, rate=RATE, seconds=SECONDS),
            lab.harm("say", cameras, own=IBL, arrays=named),
            lab.harm("say", cameras, own=STRANGER, arrays=named),
        )
        assert program.process is not None
        assert program.process.poll() is None, "it ended before the attacks did:\n" + program.said()
        assert await program.ends(lasts + 60) == 0, program.said() + cameras.said() + ephys.said()
        assert "GOOD" in program.said(), program.said()

        verdict = read_verdict(lab.folder / "pc")
        lasted = verdict["running_until"] - verdict["running_from"]
        video = verdict["rigs"]["cameras"]["files"][0]
        assert video["frames"] >= lasted * FPS - 1, verdict
        assert video["evidence"]["missing"] == video["evidence"]["dropped"] == 0, verdict
        assert verdict["rigs"]["cameras"]["clock"]["jumps"] == []

        assert flooded.pop("overheard") > 0
        assert len(flooded) == KINDS
        for kind, one in flooded.items():
            assert one["back"] <= one["there"], kind
        assert ephys.starts().total() == 1
        assert [hook for hook, _ in ephys.hooks()] == ["initialise", "start", "stop", "cleanup"]
        assert ephys.rows() > 0
        assert unnamed["heard"] == [] or all(one.startswith("[0,") for one in unnamed["heard"])
        assert not any("behaviour-pc" in one and one.startswith("{") for one in said["heard"])
        assert dialled["opened"] >= CONNECTIONS - 10
        assert dialled["alive"] <= 40, dialled  # what proves nothing is closed after ten seconds

        for rig in (cameras, ephys):
            assert "Traceback" not in rig.said()
            assert rig.said().count(STRANGER) <= MOST_LINES
        logs = "".join(path.read_text() for path in (lab.folder / "logs").glob("*.log"))
        assert "Traceback" not in logs
        assert logs.count(STRANGER) <= 2 * MOST_LINES
        rate = min(one["rate"] for one in flooded.values())
        note(
            f"{KINDS} kinds of forged datagrams, {SECONDS:g} s each, {rate:,} a second at least, beside "
            f"{dialled['opened']} connections: GOOD; bytes out of bytes in at most "
            f"{max(one['back'] / max(1, one['there']) for one in flooded.values()):.2f}"
        )
