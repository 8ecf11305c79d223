"""Looks on at real rigs, on a memory network and on loopback sockets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from multirig.conductor.observer import Observer
from multirig.config import Uri
from multirig.errors import ConfigError
from multirig.rig.adapters.fake import PICTURE

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


@pytest.mark.parametrize("over", ["memory", "udp"])
async def test_an_observer_sees_what_the_cameras_see_and_which_there_are(
    lab: Any, until: Until, over: str
) -> None:
    async with lab, Observer(network=lab.network if over == "memory" else None) as observer:
        rig = await lab.rig("main", over=over, main_sync=True, fake={"cameras": ["left", "right"]})
        await observer.follow(uris(lab))
        labels = ["left", "right"]
        await until(lambda: observer.sightings()["main"].news.get("pictures") == labels)
        await rig.start_here("SP_01")
        shown = await observer.pictures("main")
        assert [(one.label, one.jpeg) for one in shown] == [("left", PICTURE), ("right", PICTURE)]
        assert observer.sightings()["main"].news["pictures"] == labels


async def test_there_are_no_pictures_of_a_rig_that_has_no_cameras_or_is_not_heard(lab: Any) -> None:
    async with lab, Observer(network=lab.network) as observer:
        await lab.rig("main")
        await observer.follow({**uris(lab), "gone": Uri.parse("udp://gone:11001")})
        await observer.ping("main")
        assert await observer.pictures("main") == []
        assert await observer.pictures("gone", limit=0.1) == []
        with pytest.raises(ConfigError, match="there is no rig left: add it to the rigs file"):
            await observer.pictures("left")
