"""What lies in the folder of keys: each format is read, what is damaged or seen by others is refused."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import traceback
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.keyring.conftest import NOW

from multirig.errors import ConfigError, MultirigError
from multirig.keyring import Keyring, KeyWatch, files, place, read_keys, windows
from multirig.trust.certificate import LabKey, key_id
from multirig.trust.keys import public_key
from multirig.trust.roles import Role

SAMPLE = Path(__file__).parents[2] / "data" / "formats" / f"keys-{files.FORMAT}"
"""Of a lab whose key is 32 times 01, and its PC whose key is 32 times 02."""
LAB_KEY = LabKey("mylab", bytes([1]) * 32)
OWN = bytes([2]) * 32
NAMES = sorted(one.name for one in SAMPLE.iterdir())


def make_sample(folder: Path) -> Path:
    """Put the files that were written at format 1 where a PC would have them."""
    shutil.copytree(SAMPLE, folder)
    for one in (folder, *folder.iterdir()):
        one.chmod(0o700 if one.is_dir() else 0o600)
        place.shut(one)
    return folder


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return make_sample(tmp_path / "keys")


def is_shut_by_rights() -> bool:
    return sys.platform != "win32"


# -- formats -------------------------------------------------------------------------------------------------


def test_the_files_of_format_1_are_read(keys: Path) -> None:
    found = read_keys(keys)
    assert found is not None
    (membership,) = found.memberships
    assert (found.private, membership.lab) == (OWN, LAB_KEY.lab)
    certificate = membership.certificate
    assert (certificate.name, certificate.role, certificate.since) == ("office", Role.LEAD, NOW)
    assert membership.shut_out is not None
    assert membership.shut_out.keys == {key_id(bytes([3]) * 32)}
    ring = Keyring(keys)
    assert ring.name == "office"
    (key,) = ring.lab_keys()
    assert (key.name, key.seed) == ("mylab", LAB_KEY.seed)
    assert [one.name for one in ring.register(key.lab).certificates] == ["office", "old"]


def test_files_are_written_as_those_of_format_1_are(keys: Path, tmp_path: Path) -> None:
    ring, folder = Keyring(keys), tmp_path / "again"
    folder.mkdir(mode=0o700)
    own, found = files.read_own_key(keys), ring.read()
    assert own is not None
    assert found is not None
    files.write_own_key(folder, own)
    files.write_membership(folder, found.memberships[0])
    files.write_lab_key(folder, LAB_KEY)
    files.write_register(folder, LAB_KEY.lab, ring.register(LAB_KEY.lab))
    for sample in SAMPLE.iterdir():
        before, after = (
            json.loads((one / sample.name).read_text(encoding="utf-8")) for one in (SAMPLE, folder)
        )
        assert after | {"version": before["version"]} == before


def test_a_pc_without_a_folder_or_a_key_has_none(tmp_path: Path) -> None:
    assert read_keys(tmp_path / "none") is None
    assert read_keys(tmp_path) is None


@pytest.mark.parametrize("name", NAMES)
def test_a_newer_file_is_refused_by_name(keys: Path, name: str) -> None:
    path = keys / name
    path.write_text(
        json.dumps(json.loads(path.read_text(encoding="utf-8")) | {"format": 2, "version": "9.8"})
    )
    with pytest.raises(ConfigError, match=r"has format 2, as multirig 9\.8 writes it") as caught:
        read_all(keys)
    assert str(caught.value).startswith(str(path))


def read_all(folder: Path) -> None:
    read_keys(folder)
    for key in Keyring(folder).lab_keys():
        Keyring(folder).register(key.lab)


DAMAGES: list[Any] = [
    b"",
    b"{",
    b"\0" * 300,
    b"\xff\xfe{}",
    b"[]",
    b"7",
    b"{}",
    b'{"format": 1}',
    b"[" * 100_000,
    b'{"format": 1, "name": 3, "private": 3, "lab": 3, "certificate": 3, "certificates": 3}',
    b'{"format": 1, "name": "x", "private": "zz", "lab": {"name": "x", "key": "00"}, "certificate": null}',
    b'{"format": 1, "name": "x\\u001b[2J", "private": "' + b"02" * 32 + b'"}',
    b" " * (files.MAX_BYTES + 1),
]


@pytest.mark.parametrize("damage", DAMAGES, ids=range(len(DAMAGES)))
@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_file_is_told_with_a_cure(keys: Path, name: str, damage: bytes) -> None:
    (keys / name).write_bytes(damage)
    with pytest.raises(ConfigError) as caught:
        read_all(keys)
    text = str(caught.value)
    assert str(keys / name) in text
    assert "damaged" in text
    assert text.isprintable()


@pytest.mark.attack
@pytest.mark.parametrize("name", NAMES)
def test_no_byte_that_is_changed_gives_another_lab_or_role(keys: Path, name: str) -> None:
    """What is signed cannot be changed; a name that is not signed may be, and changes no right."""
    path, good = keys / name, read_keys(keys)
    assert good is not None
    whole = path.read_bytes()
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        try:
            found = read_keys(keys)
            read_all(keys)
        except MultirigError:
            continue
        assert found is not None
        assert [one.certificate for one in found.memberships] == [one.certificate for one in good.memberships]
        assert [one.lab.key for one in found.memberships] == [one.lab.key for one in good.memberships]


@pytest.mark.attack
def test_a_private_key_stands_in_no_message(keys: Path) -> None:
    secrets = (OWN.hex(), LAB_KEY.seed.hex())
    for path in keys.iterdir():
        whole = path.read_text(encoding="utf-8")
        for changed in (whole[:-3], whole.replace("02", "0z"), whole.replace("01", "01zz", 1)):
            path.write_text(changed, encoding="utf-8")
            try:
                read_all(keys)
            except ConfigError as error:
                told = "".join(traceback.format_exception(error))
                assert not any(one[:20] in told for one in secrets)
        path.write_text(whole, encoding="utf-8")
    assert not any(one[:20] in repr((files.read_own_key(keys), LAB_KEY, read_keys(keys))) for one in secrets)


def test_a_certificate_of_another_pcs_key_is_refused(keys: Path) -> None:
    path = keys / files.PC_NAME
    path.write_text(path.read_text(encoding="utf-8").replace("02" * 32, "04" * 32), encoding="utf-8")
    with pytest.raises(ConfigError, match="not of this PC's key"):
        read_keys(keys)


@pytest.mark.attack
def test_a_certificate_that_the_lab_has_not_signed_is_refused(keys: Path) -> None:
    forged = LabKey("mylab", bytes([9]) * 32).certify(public_key(OWN), "office", Role.LEAD, now=NOW)
    path = next(keys.glob("lab-*.json"))
    told = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(told | {"certificate": files.give_signed(forged)}))
    with pytest.raises(ConfigError, match="is damaged"):
        read_keys(keys)


# -- who can read them ---------------------------------------------------------------------------------------


@pytest.mark.skipif(not is_shut_by_rights(), reason="Windows keeps rights in lists")
@pytest.mark.attack
@pytest.mark.parametrize("rights", [0o640, 0o604, 0o660, 0o602, 0o777])
@pytest.mark.parametrize("name", ["pc", "labkey"])
def test_a_private_key_that_others_can_read_is_not_used(keys: Path, name: str, rights: int) -> None:
    path = next(one for one in keys.iterdir() if one.stem.partition("-")[0] == name)
    path.chmod(rights)
    with pytest.raises(ConfigError, match=f"its rights are {rights:o}") as caught:
        read_all(keys)
    assert f"chmod 600 '{path}'" in str(caught.value)


@pytest.mark.skipif(not is_shut_by_rights(), reason="Windows keeps rights in lists")
@pytest.mark.attack
@pytest.mark.parametrize("rights", [0o750, 0o705, 0o770, 0o777, 0o1777])
def test_a_folder_that_others_can_read_or_change_is_not_used(keys: Path, rights: int) -> None:
    keys.chmod(rights)
    with pytest.raises(ConfigError, match="keys do not lie safely there"):
        read_keys(keys)
    with pytest.raises(ConfigError, match=f"chmod 700 '{keys}'"):
        Keyring(keys).make_own_key("office")


@pytest.mark.skipif(not is_shut_by_rights(), reason="Windows keeps rights in lists")
def test_what_is_written_only_its_user_can_read(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        folder = tmp_path / "config" / "multirig" / "keys"
        ring = Keyring(folder)
        ring.make_own_key("office")
        key = ring.make_lab_key("mylab")
        own = ring.read()
        assert own is not None
        ring.add(key.lab, ring.certify(key, own.public, "office", Role.LEAD))
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {one.stat().st_mode & 0o777 for one in folder.glob("*.json")} == {0o600}
    assert len(list(folder.glob("*.json"))) == 4


def test_what_is_written_nobody_else_can_read_on_windows_too(tmp_path: Path) -> None:
    ring = Keyring(tmp_path / "keys")
    ring.make_own_key("office")
    ring.make_lab_key("mylab")
    for one in (ring.folder, *ring.folder.glob("*.json")):
        assert windows.find_readers(one) is None
    assert ring.read() is not None


@pytest.mark.attack
def test_keys_on_a_share_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = "it lies on a share, where whoever may write there changes it"
    monkeypatch.setattr(place, "find_exposure", lambda path: shared)
    with pytest.raises(ConfigError, match="it lies on a share"):
        Keyring(tmp_path / "keys").make_own_key("office")


@pytest.mark.parametrize(
    ("kinds", "found"),
    [({"/": "ext4"}, None), ({"/": "ext4", "LAB": "nfs4"}, "nfs4"), ({"/": "nfs"}, "nfs"), ({}, None)],
)
def test_a_disk_of_another_pc_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kinds: dict[str, str], found: str | None
) -> None:
    if sys.platform == "win32":
        pytest.skip("its drives of other PCs are refused")
    disks = [
        SimpleNamespace(mountpoint=where.replace("LAB", str(tmp_path)), fstype=kind)
        for where, kind in kinds.items()
    ]
    monkeypatch.setattr("psutil.disk_partitions", lambda **_: disks)
    assert place.find_far_disk(tmp_path / "keys") == found


def test_the_folder_is_that_of_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(place.VARIABLE, str(tmp_path / "elsewhere"))
    Keyring().make_own_key("office")
    assert (tmp_path / "elsewhere" / files.PC_NAME).exists()
    assert read_keys() is not None
    monkeypatch.delenv(place.VARIABLE)
    assert place.key_folder().parts[-2:] == ("multirig", "keys")


def test_tests_never_see_the_keys_of_this_pcs_user() -> None:
    assert re.search("multirig-tests-", os.environ[place.VARIABLE])


# -- watching ------------------------------------------------------------------------------------------------


def test_a_program_that_runs_notices_a_change_and_outlives_a_damage(keys: Path) -> None:
    watch = KeyWatch(keys)
    assert not watch.has_changed()
    before = watch.keys
    assert before is not None
    path = keys / files.PC_NAME
    whole = path.read_bytes()
    path.write_bytes(b"{")
    assert not watch.has_changed()
    assert watch.trouble is not None
    assert "damaged" in watch.trouble
    assert watch.keys == before
    path.write_bytes(whole)
    assert not watch.has_changed()
    assert watch.trouble is None
    assert Keyring(keys, lambda: NOW + 5).shut_out(LAB_KEY, ["0" * 16]).number == NOW + 5
    assert watch.has_changed()
    changed = watch.keys
    assert changed is not None
    assert changed.memberships[0].shut_out is not None
    assert changed.memberships[0].shut_out.number == NOW + 5


def test_a_program_that_runs_notices_that_its_pc_has_joined(
    lab_pc: tuple[Keyring, LabKey], tmp_path: Path
) -> None:
    watch = KeyWatch(tmp_path / "new pc")
    assert watch.keys is None
    ring = Keyring(tmp_path / "new pc")
    ring.make_own_key("video")
    own = ring.read()
    assert own is not None
    ring.add(lab_pc[1].lab, lab_pc[0].certify(lab_pc[1], own.public, "video", Role.RIG))
    assert watch.has_changed()
    assert watch.keys is not None
    assert [one.certificate.name for one in watch.keys.memberships] == ["video"]
