"""Looks on at real rigs, on a memory network and on loopback sockets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from multirig.conductor.observer import Observer
from multirig.config import Uri

Until = Callable[..., Any]


def uris(lab: Any, *names: str) -> dict[str, Uri]:
    """Return where the rigs of a lab are, as a rigs file would say."""
    where = {name: str(rig.addresses[0]) for name, rig in lab.rigs.items() if not names or name in names}
    return {name: Uri.parse(text.replace("memory://", "udp://")) for name, text in where.items()}


@pytest.mark.parametrize("over", ["memory", "udp", "tcp"])
async def test_an_observer_sees_what_a_rig_is_and_does(lab: Any, until: Until, over: str) -> None:
    async with lab, Observer(network=lab.network if over == "memory" else None) as observer:
        rig = await lab.rig("main", over=over, main_sync=True)
        told: list[str] = []
        observer.on_change(told.append)
        await observer.follow(uris(lab))
        await until(lambda: observer.sightings()["main"].news.get("adapter"))
        seen = observer.sightings()["main"]
        assert (seen.name, seen.is_multirig, seen.problem) == ("main", True, None)
        assert (seen.news["state"], seen.news["adapter"], seen.news["main_sync"]) == (
            "connected",
            "fake",
            True,
        )
        assert seen.news["version"] == seen.info["version"]
        assert seen.news["disk_free"] > 0
        told.clear()
        exp_ref = await rig.start_here("SP_01")
        await until(lambda: observer.sightings()["main"].news["state"] == "running")
        assert observer.sightings()["main"].news["exp_ref"] == str(exp_ref)
        assert "main" in told
