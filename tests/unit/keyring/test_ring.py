"""Changing a PC's keys."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.keyring.conftest import NOW

from multirig.errors import ConfigError, TrustError
from multirig.keyring import Keyring, read_keys
from multirig.trust.certificate import LabKey
from multirig.trust.keys import SOON
from multirig.trust.roles import Role


def let_in(lab_pc: tuple[Keyring, LabKey], ring: Keyring, name: str = "video", role: Role = Role.RIG) -> str:
    """Let a PC join, and return the number of its key."""
    ring.make_own_key(name)
    own = ring.read()
    assert own is not None
    certificate = lab_pc[0].certify(lab_pc[1], own.public, name, role)
    ring.add(lab_pc[1].lab, certificate)
    return certificate.id


def test_a_pc_keeps_its_key_whatever_it_is_called(ring: Keyring) -> None:
    first, again = ring.make_own_key("video"), ring.make_own_key("video 2")
    assert first.private == again.private
    assert ring.name == "video 2"
    assert ring.make_own_key("video", is_new=True).private != first.private


def test_two_pcs_never_have_the_same_key(tmp_path: Path) -> None:
    made = [Keyring(tmp_path / str(number)).make_own_key("x").private for number in range(5)]
    made += [Keyring(tmp_path / str(number)).make_lab_key("x").seed for number in range(5)]
    assert len({*made}) == 10


@pytest.mark.attack
@pytest.mark.parametrize("name", ["", "a\nb", "\x1b[2J", "a\u202eb", " a", "x" * 65, "\udc80"])
def test_a_name_that_cannot_be_shown_is_no_name(ring: Keyring, name: str) -> None:
    for make in (ring.make_own_key, ring.make_lab_key):
        with pytest.raises(TrustError) as caught:
            make(name)
        assert str(caught.value).isprintable()
    assert not ring.folder.exists()


def test_a_new_key_is_of_no_lab(lab_pc: tuple[Keyring, LabKey], ring: Keyring) -> None:
    let_in(lab_pc, ring)
    ring.make_own_key("video", is_new=True)
    keys = ring.read()
    assert keys is not None
    assert keys.memberships == ()


@pytest.mark.attack
def test_the_list_that_is_newest_is_kept_whatever_comes_later(
    lab_pc: tuple[Keyring, LabKey], ring: Keyring
) -> None:
    let_in(lab_pc, ring)
    first = lab_pc[0].shut_out(lab_pc[1], ["0" * 16])
    second = lab_pc[0].shut_out(lab_pc[1], ["1" * 16])
    assert second.keys == {"0" * 16, "1" * 16}
    assert [ring.keep_list(one) for one in (second, first, second)] == [True, False, False]
    keys = ring.read()
    assert keys is not None
    assert keys.memberships[0].shut_out == second
    forged = LabKey("mylab", b"\7" * 32).shut_out([], number=NOW * 2, now=NOW)
    with pytest.raises(TrustError, match="of another lab"):
        ring.keep_list(forged)


@pytest.mark.attack
def test_a_certificate_that_is_added_later_brings_no_older_list_back(
    lab_pc: tuple[Keyring, LabKey], ring: Keyring
) -> None:
    office, key = lab_pc
    let_in(lab_pc, ring)
    old = office.shut_out(key, ["0" * 16])
    new = office.shut_out(key, ["1" * 16])
    ring.keep_list(new)
    own = ring.read()
    assert own is not None
    added = ring.add(key.lab, office.certify(key, own.public, "video", Role.LOOK), old)
    assert added.shut_out == new


@pytest.mark.attack
def test_a_lab_key_from_paper_signs_a_higher_list_though_it_knows_of_none(
    lab_pc: tuple[Keyring, LabKey], tmp_path: Path
) -> None:
    office, key = lab_pc
    for number in range(3):
        before = office.shut_out(key, [f"{number}" * 16])
    spare = Keyring(tmp_path / "spare", lambda: NOW + 3600)
    again = spare.make_lab_key(key.name, key.seed)
    assert spare.shut_out(again, ["9" * 16]).number > before.number


def test_certificates_that_are_over_soon_are_found_without_those_that_are_shut_out(
    lab_pc: tuple[Keyring, LabKey], tmp_path: Path
) -> None:
    office, key = lab_pc
    ids = [let_in(lab_pc, Keyring(tmp_path / name), name) for name in ("one", "two")]
    office.shut_out(key, [ids[0]])
    assert office.find_nearly_over(key.lab) == []
    late = Keyring(office.folder, lambda: NOW + 5 * 365 * 86_400 - SOON)
    assert [one.name for one in late.find_nearly_over(key.lab)] == ["office", "two"]


def test_of_several_labs_one_is_named(lab_pc: tuple[Keyring, LabKey]) -> None:
    office, key = lab_pc
    other = office.make_lab_key("mylab")
    third = office.make_lab_key("yours")
    assert office.find_lab_key("yours") == third
    assert office.find_lab_key(other.lab.id) == other
    for wanted, words in ((None, "several labs"), ("mylab", "several labs"), ("x", "knows of no lab 'x'")):
        with pytest.raises(ConfigError, match=words):
            office.find_lab_key(wanted)
    assert office.find_membership().lab == key.lab


def test_leaving_a_lab_leaves_the_other_ones(lab_pc: tuple[Keyring, LabKey], ring: Keyring) -> None:
    office, key = lab_pc
    let_in(lab_pc, ring)
    own = ring.read()
    assert own is not None
    other = LabKey("yours", b"\5" * 32)
    ring.add(other.lab, other.certify(own.public, "video", Role.LOOK, now=NOW))
    ring.forget(key.lab)
    keys = read_keys(ring.folder)
    assert keys is not None
    assert [one.lab for one in keys.memberships] == [other.lab]
    office.forget(key.lab)
    assert office.lab_keys() == []


def test_another_program_that_changes_the_keys_is_waited_for(
    ring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    from filelock import FileLock

    from multirig.keyring import ring as module

    ring.make_own_key("video")
    monkeypatch.setattr(module, "LOCK_LIMIT", 0.05)
    with FileLock(ring.folder / "keys.lock"), pytest.raises(ConfigError, match="another program has held"):
        ring.make_own_key("video 2")
