"""The console itself, without a page: what it makes of sessions that are over soon."""

from __future__ import annotations

import asyncio

import pytest
import yaml

from multirig.dashboard import console as module
from multirig.dashboard.console import Console
from multirig.dashboard.view.start import Draft


@pytest.mark.limit(60)
async def test_a_session_that_is_over_between_two_looks_leaves_nobody_unasked(lab, state_file, monkeypatch):
    rig = await lab.rig("ephys", over="udp", main_sync=True)
    rig.choose_subject("OTHER")
    rigs_file = lab.folder / "remote_rigs.yaml"
    rigs_file.write_text(yaml.safe_dump({"ephys": str(rig.addresses[0])}))
    monkeypatch.setattr(module, "TICK", 6.0)  # the whole session fits in between
    async with Console(rigs_file, lab.folder / "pc", state_file=state_file) as console:
        await console.start(Draft(subject="SP_01", rigs=("ephys",)))
        while not console.session.now.is_over:
            await asyncio.sleep(0.02)
        assert console.session.now.trouble is not None
        assert console.rigs.observer.suspended == {"ephys"}
        while console.rigs.observer.suspended:
            await asyncio.sleep(0.02)
