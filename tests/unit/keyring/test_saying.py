"""What screens say of this PC's keys."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.trust.lab import LAB, NOW, certify, keys

from multirig.cli import render
from multirig.cli.beside import tell_changed_access
from multirig.cli.key_words import warn_of_clock
from multirig.errors import TrustError
from multirig.keyring import Keyring
from multirig.keyring.door import Access
from multirig.keyring.saying import say_leading_access, say_rig_access
from multirig.keyring.watch import KeyWatch
from multirig.trust.keys import Keys, public_key
from multirig.trust.roles import Role


def access(own: Keys | None, *, now: int = NOW) -> Access:
    return Access(keys=lambda: own, wall=lambda: now)


@pytest.mark.parametrize(
    ("role", "says"), [(Role.LOOK, "look on, and not lead"), (Role.RIG, "be led, and not lead")]
)
def test_a_pc_whose_key_may_not_lead_is_told_before_it_tries(role: Role, says: str) -> None:
    (said,) = say_leading_access(access(keys("pc", role)))
    assert says in said.text
    assert "multirig key add" in said.text
    assert said.hinders
    assert say_leading_access(access(keys("pc", Role.LEAD))) == []
    assert say_leading_access(access(None)) == []


def test_a_pc_that_was_shut_out_is_told_so_where_it_has_the_list() -> None:
    shut_out = LAB.shut_out([certify("pc", Role.LEAD).id], number=1, now=NOW)
    for say in (say_leading_access, say_rig_access):
        (said,) = say(access(keys("pc", Role.LEAD, shut_out=shut_out)))
        assert "was shut out of the lab cortexlab" in said.text
        assert "multirig key join --new-key" in said.text
        assert said.is_warning


def test_a_certificate_that_is_over_hinders_and_says_what_renews_it() -> None:
    (said,) = say_leading_access(access(keys("pc", Role.LEAD, until=NOW - 1)))
    assert said.hinders
    assert "multirig key join" in said.text


def test_a_rig_says_on_its_screen_when_its_pc_has_joined_and_when_its_keys_cannot_be_read(
    tmp_path: Path,
) -> None:
    watch = KeyWatch(tmp_path / "keys")
    now = replace(access(None), keys=lambda: watch.keys, watch=watch)
    assert "no key yet" in say_rig_access(now)[0].text
    lines: list[str] = []

    async def play() -> None:
        telling = asyncio.ensure_future(tell_changed_access(now, lines.append))
        await asyncio.sleep(0)
        ring = Keyring(tmp_path / "keys")
        own = ring.make_own_key("video-pc")
        ring.add(LAB.lab, LAB.certify(public_key(own.private), "video-pc", Role.RIG, now=NOW))
        assert watch.has_changed()
        await asyncio.sleep(1.2)
        assert lines == ["this PC is video-pc of the lab cortexlab (rig)"]
        (tmp_path / "keys" / "pc.json").write_text("{", encoding="utf-8")
        watch.has_changed()
        await asyncio.sleep(1.2)
        telling.cancel()

    asyncio.run(play())
    assert watch.trouble is not None
    assert "cannot be read any more" in say_rig_access(now)[0].text
    assert len(lines) == 2


@pytest.mark.skipif(os.name == "nt", reason="rights are others on Windows")
def test_a_folder_that_others_may_read_by_now_is_noticed_while_a_rig_runs(tmp_path: Path) -> None:
    ring = Keyring(tmp_path / "keys")
    own = ring.make_own_key("video-pc")
    ring.add(LAB.lab, LAB.certify(public_key(own.private), "video-pc", Role.RIG, now=NOW))
    watch = KeyWatch(ring.folder)
    kept = watch.keys
    ring.folder.chmod(0o755)
    assert not watch.has_changed()
    assert watch.keys == kept
    assert watch.trouble is not None
    assert "chmod 700" in watch.trouble
    ring.folder.chmod(0o700)
    watch.has_changed()
    assert watch.trouble is None


def test_what_is_over_by_a_clock_that_may_be_wrong_says_what_day_it_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ten_years = 10 * 365 * 86_400
    own = keys("pc", Role.LEAD)
    (said,) = say_leading_access(access(own, now=NOW + ten_years))
    assert "set this PC's clock first if it is not 2037-01-1" in said.text
    with pytest.raises(
        TrustError, match=r"today is 2037-01-1. by this PC's clock: set the clock if it is wrong"
    ):
        own.judge(certify("other", Role.RIG), now=NOW + ten_years)
    warnings: list[str] = []
    monkeypatch.setattr(render, "warn", warnings.append)
    warn_of_clock(certify("pc", Role.RIG), NOW)
    assert warnings == []
    warn_of_clock(certify("pc", Role.RIG), NOW + ten_years)
    assert "set the clock that is wrong" in warnings[0]


@pytest.mark.parametrize("behind", [3_600, 10 * 365 * 86_400])
def test_a_certificate_that_is_made_in_the_future_of_this_pc_lets_in(behind: int) -> None:
    own = keys("pc", Role.LEAD)
    assert own.judge(certify("other", Role.RIG), now=NOW - behind).lab == LAB.lab
    assert say_leading_access(access(own, now=NOW - behind)) == []
