"""What a default lab does, and what strangers on its network can do: nothing."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from multirig.keyring import Keyring, read_keys
from multirig.trust.roles import Role

pytestmark = [pytest.mark.attack, pytest.mark.limit(90)]


async def test_a_lab_with_keys_records_over_its_network(keyed_lab: Any) -> None:
    async with keyed_lab.cable, keyed_lab:
        rig = await keyed_lab.open_rig(keyed_lab.add_pc("video-pc", Role.RIG))
        program = keyed_lab.lead(keyed_lab.add_pc("behaviour-pc", Role.LEAD), "--seconds", "2")
        assert await program.ends() == 0, program.said()
        assert "GOOD" in program.said()
        assert rig.rows() > 0
        [journal] = (keyed_lab.folder / "pc").rglob("*journal.jsonl")
        began = json.loads(journal.read_text(encoding="utf-8").splitlines()[0])
        keys = read_keys(keyed_lab.folder / "keys" / "behaviour-pc")
        assert keys is not None
        assert began["data"]["key"] == keys.memberships[0].certificate.id
        assert "this PC is video-pc of the lab cortexlab (rig)" in rig.said()
        leader = {"MULTIRIG_KEYS": str(keyed_lab.folder / "keys" / "behaviour-pc")}
        check = keyed_lab.say(leader, "check", "--rigs-file", "rigs.yaml", "-r", "cameras")
        await check.ends()
        assert "proves that it is video-pc of the lab cortexlab, until 20" in check.said()
        [log] = (keyed_lab.folder / "state").rglob("conductor.log")
        assert f"cameras at {rig.uri} is a program of the PC video-pc" in log.read_text(encoding="utf-8")


async def test_a_pc_without_a_key_leads_nobody_and_is_told_what_to_do(keyed_lab: Any) -> None:
    async with keyed_lab.cable, keyed_lab:
        rig = await keyed_lab.open_rig(keyed_lab.add_pc("video-pc", Role.RIG))
        program = keyed_lab.lead(keyed_lab.no_key("behaviour-pc"), "--seconds", "2")
        assert await program.ends() != 0
        assert "run 'multirig key join' on this PC" in program.said()
        assert rig.hooks() == []


async def test_a_rig_without_a_key_serves_its_own_pc_and_says_so(keyed_lab: Any) -> None:
    async with keyed_lab.cable, keyed_lab:
        rig = await keyed_lab.open_rig(keyed_lab.no_key("video-pc"))
        assert "multirig key join" in rig.said()
        program = keyed_lab.lead(keyed_lab.add_pc("behaviour-pc", Role.LEAD), "--seconds", "2")
        assert await program.ends() != 0
        assert "does not know this PC's key" in program.said()
        assert rig.hooks() == []


async def test_a_look_pc_sees_and_does_not_lead(keyed_lab: Any) -> None:
    async with keyed_lab.cable, keyed_lab:
        rig = await keyed_lab.open_rig(keyed_lab.add_pc("video-pc", Role.RIG))
        look = keyed_lab.add_pc("office-pc", Role.LOOK)
        (keyed_lab.folder / "rigs.yaml").write_text(f"cameras: {rig.uri}\n")
        ping = keyed_lab.say(look, "rigs", "ping", "--rigs-file", "rigs.yaml")
        assert await ping.ends() == 0, ping.said()
        program = keyed_lab.lead(look, "--seconds", "2")
        assert await program.ends() != 0
        assert "may look on, and not lead" in program.said()
        assert rig.hooks() == []


async def test_a_pc_that_was_shut_out_hears_so_within_seconds_and_leads_nobody(keyed_lab: Any) -> None:
    async with keyed_lab.cable, keyed_lab:
        video, lost = keyed_lab.add_pc("video-pc", Role.RIG), keyed_lab.add_pc("behaviour-pc", Role.LEAD)
        keys = read_keys(keyed_lab.folder / "keys" / "behaviour-pc")
        assert keys is not None
        made = keyed_lab.ring.shut_out(keyed_lab.lab_key, [keys.memberships[0].certificate.id])
        assert Keyring(keyed_lab.folder / "keys" / "video-pc").keep_list(made)
        rig = await keyed_lab.open_rig(video)
        began = time.monotonic()
        program = keyed_lab.lead(lost, "--seconds", "2")
        assert await program.ends() != 0
        assert time.monotonic() - began < 10  # it waited 15 s for each answer
        says = "this PC was shut out of the lab cortexlab"
        assert f"cameras: {says}" in " ".join(program.said().split())
        assert rig.hooks() == []
        again = keyed_lab.lead(lost, "--seconds", "2")
        assert await again.ends() != 0
        assert f"! {says}, and nobody of it speaks to it" in " ".join(again.said().split())
        assert rig.hooks() == []
