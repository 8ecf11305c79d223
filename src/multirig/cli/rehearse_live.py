"""``multirig rehearse --live``: a few seconds of recording on every rig, which are removed again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from multirig.cli import render
from multirig.cli.check import findings_to_json
from multirig.cli.chosen import choose_rigs
from multirig.cli.program import FAILED
from multirig.conductor.conductor import Conductor
from multirig.conductor.leading import Wishes
from multirig.conductor.rehearsal import Rehearsed, is_ready, rehearse
from multirig.logs import keep_log
from multirig.pc.finding import Finding


def rehearse_live(
    remote: Sequence[str], seconds: float, data: Path, rigs_file: Path | None, *, json: bool
) -> int:
    """Rehearse on real rigs, show what came of it and return the exit code."""
    keep_log("conductor")
    rigs, policies = choose_rigs(list(remote), rigs_file)
    conductor = Conductor(rigs, policies=policies, data_folder=data)
    found, rehearsed = asyncio.run(_rehearse(conductor, seconds))
    ready = is_ready(found, rehearsed)
    if json:
        figures = {name: {**asdict(one), "ready": one.is_ready} for name, one in rehearsed.items()}
        render.show_json({"ready": ready, "rigs": figures, "check": findings_to_json(found)})
    else:
        render.show_troubles(found)
        render.show_rehearsed(rehearsed, ready=ready)
    return 0 if ready else FAILED


async def _rehearse(
    conductor: Conductor, seconds: float
) -> tuple[dict[str, list[Finding]], dict[str, Rehearsed]]:
    async with conductor:
        render.say(f"a test recording of {seconds:g} s on {', '.join(conductor.rigs)}; it is removed again")
        wishes = Wishes()
        with wishes.heeding_signals():
            return await rehearse(conductor, seconds, wishes=wishes)
