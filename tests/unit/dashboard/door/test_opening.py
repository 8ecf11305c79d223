"""What a console needs before it is served: somebody who may come in, and a certificate where others come."""

from __future__ import annotations

from pathlib import Path

import pytest

from multirig.dashboard.door.access import Names, hash_password
from multirig.dashboard.door.opening import prepare_door
from multirig.dashboard.door.people import keep_account
from multirig.dashboard.door.place import Place
from multirig.errors import ConfigError

NAMES = Names(names=frozenset({"localhost", "0.0.0.0", "behaviour"}), any_ip=True)


def test_other_pcs_are_let_in_with_a_password_or_an_account_only(tmp_path: Path) -> None:
    place = Place(host="0.0.0.0")
    with pytest.raises(ConfigError, match="or make an account with multirig password NAME"):
        prepare_door(place, tmp_path)
    assert prepare_door(Place(host="0.0.0.0", password=hash_password("correct horse")), tmp_path)
    keep_account(tmp_path, "ada", password="correct horse")
    assert prepare_door(place, tmp_path).people.find("ada") is not None


@pytest.mark.parametrize(
    ("options", "is_encrypted"),
    [
        ({"host": "0.0.0.0"}, True),
        ({"host": "192.168.1.10"}, True),
        ({"host": "0.0.0.0", "is_plain": True}, False),
        ({"host": "127.0.0.1"}, False),
        ({"host": "localhost"}, False),
        ({"host": "::1", "is_plain": True}, False),
    ],
)
def test_a_certificate_is_made_where_other_pcs_come_and_nobody_has_said_otherwise(
    tmp_path: Path, options: dict[str, object], is_encrypted: bool
) -> None:
    keep_account(tmp_path, "ada", password="correct horse")
    place = Place(**options)  # type: ignore[arg-type]
    door = prepare_door(place, tmp_path).at(NAMES)
    assert (door.own_certificate is not None) is is_encrypted
    assert (tmp_path / "certificate.pem").exists() is is_encrypted
    [first, *_] = door.addresses(8090)[0]
    assert first.startswith("https://" if is_encrypted else "http://")


def test_a_certificate_that_was_given_is_taken(tmp_path: Path) -> None:
    keep_account(tmp_path, "ada", password="correct horse")
    made = prepare_door(Place(host="0.0.0.0"), tmp_path).at(NAMES).own_certificate
    assert made is not None
    given = tmp_path / "given.pem"
    given.write_bytes(made.path.read_bytes())
    made.path.unlink()
    door = prepare_door(Place(host="0.0.0.0", certificate=given, key=given), tmp_path).at(NAMES)
    assert (door.own_certificate, door.place.certificate, made.path.exists()) == (None, given, False)


def test_nobody_is_asked_only_where_that_was_said_and_no_other_pc_comes(tmp_path: Path) -> None:
    assert Place(asks_for_token=False).is_open
    assert not Place().is_open
    assert not Place(host="0.0.0.0", asks_for_token=False).is_open
