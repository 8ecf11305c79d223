"""The certificate that this PC makes for its console: for its names, for its user alone, seldom a new one."""

from __future__ import annotations

import datetime
import hashlib
import os
import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from multirig.dashboard.door.certificate import (
    FILE_NAME,
    LIFE,
    MAX_NAMES,
    RENEWED_BEFORE,
    OwnCertificate,
    load_certificate,
    read_fingerprint,
)
from multirig.errors import ConfigError

NOW = datetime.datetime(2026, 11, 30, 20, tzinfo=datetime.timezone.utc)
NAMES = ("behaviour", "behaviour.local", "192.168.1.10", "fe80::1%eth0", "fd00::10")


def make(folder: Path, *more: str, names: tuple[str, ...] = NAMES, days: float = 0) -> OwnCertificate:
    return load_certificate(folder, [*names, *more], NOW + datetime.timedelta(days=days))


def read(made: OwnCertificate) -> x509.Certificate:
    return x509.load_pem_x509_certificate(made.path.read_bytes())


def names_in(made: OwnCertificate) -> set[str]:
    found = read(made).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))}


def test_it_is_for_all_names_and_addresses_of_this_pc_and_for_a_server_alone(tmp_path: Path) -> None:
    made = make(tmp_path / "own")
    assert made.is_new
    assert {"behaviour", "behaviour.local", "192.168.1.10", "fe80::1", "fd00::10"} < names_in(made)
    assert {"localhost", "127.0.0.1", "::1"} < names_in(made)
    found = read(made)
    assert isinstance(found.public_key(), ec.EllipticCurvePublicKey)
    assert found.public_key().curve.name == "secp256r1"
    assert found.not_valid_after_utc == NOW + LIFE
    assert found.not_valid_before_utc < NOW
    assert found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    assert not found.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    assert found.subject == found.issuer


def test_a_server_can_be_encrypted_by_it_and_its_fingerprint_is_what_browsers_show(tmp_path: Path) -> None:
    made = make(tmp_path)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(made.path)
    pem = made.path.read_text().partition("-----END PRIVATE KEY-----\n")[2]
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).digest()
    assert made.fingerprint == ":".join(f"{one:02X}" for one in digest)
    assert read_fingerprint(tmp_path) == made.fingerprint
    assert read_fingerprint(tmp_path / "none") is None


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such rights")
def test_nobody_else_can_read_its_key(tmp_path: Path) -> None:
    os.umask(0o022)
    made = make(tmp_path / "own")
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(made.path.parent.stat().st_mode) == 0o700
    assert b"BEGIN PRIVATE KEY" in made.path.read_bytes()


def test_the_same_one_is_taken_again_whatever_changes_that_matters_to_no_browser(tmp_path: Path) -> None:
    first = make(tmp_path)
    for again in (
        make(tmp_path, days=100),
        make(tmp_path, "2001:db8::77", "fe80::2%eth1", "169.254.3.4", "BEHAVIOUR.local."),
        make(tmp_path, names=("behaviour",)),
    ):
        assert (again.is_new, again.fingerprint) == (False, first.fingerprint)


def test_another_one_is_made_for_an_address_or_a_name_that_is_new_and_the_ones_before_stay(
    tmp_path: Path,
) -> None:
    first = make(tmp_path)
    second = make(tmp_path, names=("behaviour", "10.0.0.7"))
    assert (second.is_new, second.fingerprint == first.fingerprint) == (True, False)
    assert {"10.0.0.7", "192.168.1.10"} < names_in(second)
    assert not make(tmp_path).is_new  # back in the network before
    assert make(tmp_path, "behaviour.lab.example.org").is_new


@pytest.mark.parametrize("days", [LIFE.days - RENEWED_BEFORE.days + 1, LIFE.days + 1, -30])
def test_another_one_is_made_before_its_time_is_over_and_where_it_has_not_begun(
    tmp_path: Path, days: int
) -> None:
    first = make(tmp_path)
    assert not make(tmp_path, days=LIFE.days - RENEWED_BEFORE.days - 1).is_new
    second = make(tmp_path, days=days)
    assert (second.is_new, names_in(second)) == (True, names_in(first))


@pytest.mark.parametrize("harm", ["empty", "torn", "other key", "no key"])
def test_a_damaged_one_is_made_anew(tmp_path: Path, harm: str) -> None:
    first = make(tmp_path / "a")
    data = first.path.read_bytes()
    other = make(tmp_path / "b").path.read_bytes()
    end = b"-----END PRIVATE KEY-----\n"
    key, _, rest = data.partition(end)
    first.path.write_bytes(
        {
            "empty": b"",
            "torn": data[: len(data) // 2],
            "other key": other.partition(end)[0] + end + rest,
            "no key": rest,
        }[harm]
    )
    assert key
    again = make(tmp_path / "a")
    assert again.is_new
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(again.path)
    assert not make(tmp_path / "a").is_new


@pytest.mark.parametrize(
    "names",
    [
        ("büro-pc", "büro-pc.local"),
        ("a..b", "x" * 70, "", "*", "behaviour_pc"),
        tuple(f"10.{number // 250}.{number % 250}.1" for number in range(200)),
        tuple(f"fd00::{number:x}" for number in range(200)),
        (),
    ],
)
def test_odd_names_and_many_of_them_make_no_other_one_each_time(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    first = make(tmp_path, names=names)
    assert len(names_in(first)) <= MAX_NAMES
    assert {"localhost", "127.0.0.1"} & names_in(first) or len(names) > MAX_NAMES
    assert not make(tmp_path, names=names).is_new
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(first.path)


def test_where_it_cannot_be_kept_that_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("no folder")
    with pytest.raises(ConfigError, match=f"{FILE_NAME}: the console's certificate cannot be kept"):
        make(tmp_path / "own")
