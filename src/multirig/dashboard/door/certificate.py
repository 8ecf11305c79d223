"""A certificate of this PC's own, by which the console is encrypted where nobody has given it another one."""

from __future__ import annotations

import datetime
import ipaddress
import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from filelock import FileLock

from multirig.errors import ConfigError, why_not
from multirig.writing import write_whole

if TYPE_CHECKING:
    from cryptography import x509

FILE_NAME = "certificate.pem"
"""Holds the key, then the certificate: one file, so that neither is ever without the other."""
LIFE = datetime.timedelta(days=730)
"""Some browsers take none that lasts longer than 825 days."""
RENEWED_BEFORE = datetime.timedelta(days=90)
"""For so long before its end it is made anew when a console is started, which may then run for a while."""
EARLY = datetime.timedelta(days=1)
"""It holds from a day ago: other PCs' clocks may be behind this one's."""
MAX_NAMES = 60
"""Names and addresses in it: those that this PC has had stay, up to so many."""
MAX_NEEDED = 40
"""Of these, as many as must be in it."""
LOCK_LIMIT = 10.0
"""Seconds that another console may take to make it."""
_LOCAL = ("localhost", "127.0.0.1", "::1")

log = logging.getLogger("multirig.dashboard")
_Address: TypeAlias = "ipaddress.IPv4Address | ipaddress.IPv6Address"


@dataclass(frozen=True, slots=True)
class OwnCertificate:
    """A certificate that this PC has made for itself."""

    path: Path
    """Of the file with the key and the certificate."""
    fingerprint: str
    """SHA-256, in pairs of hexadecimal digits with colons between them."""
    is_new: bool
    """Whether it was made just now, so that browsers know another one, or none."""


def load_certificate(
    folder: Path, names: Collection[str], now: datetime.datetime | None = None
) -> OwnCertificate:
    """Return this PC's own certificate; it is made where there is none that will do.

    Parameters
    ----------
    folder : pathlib.Path
        Where the console keeps what is its own.
    names : collection of str
        Names and IP addresses by which browsers reach this PC. Those of IPv4 and names are to be in it; an
        address of IPv6 goes along, and is no reason for a new one: many of them change every day.
    now : datetime.datetime, optional
        With its zone.

    Raises
    ------
    ConfigError
        It can be neither read nor made.
    """
    now = now or datetime.datetime.now(datetime.timezone.utc)
    path = folder / FILE_NAME
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(f"{path}.lock", timeout=LOCK_LIMIT):
            known = _read(path)
            held = [] if known is None else _names_in(known)
            if known is not None and (why := _find_objection(known, held, names, now)) is None:
                return OwnCertificate(path, say_fingerprint(known), is_new=False)
            made, data = _make(_order(names, held), now)
            write_whole(path, data, is_private=True)
    except OSError as error:  # a lock that another console holds too long is one too
        raise ConfigError(
            f"{path}: the console's certificate cannot be kept ({why_not(error)}): check the rights of its "
            "folder, or give --tls-cert and --tls-key"
        ) from error
    log.info(
        "made a certificate (%s): SHA-256 %s", "the first" if known is None else why, say_fingerprint(made)
    )
    return OwnCertificate(path, say_fingerprint(made), is_new=True)


def read_fingerprint(folder: Path) -> str | None:
    """Return the fingerprint of the certificate that is kept in a folder; None: there is none."""
    known = _read(folder / FILE_NAME)
    return None if known is None else say_fingerprint(known)


def say_fingerprint(certificate: x509.Certificate) -> str:
    """Return by what people compare a certificate with what a browser shows of it."""
    from cryptography.hazmat.primitives import hashes

    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def _read(path: Path) -> x509.Certificate | None:
    """Return a certificate whose key lies with it; None: there is none that could be used."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        key = serialization.load_pem_private_key(data, None)
        certificate = x509.load_pem_x509_certificate(data)
    except (ValueError, TypeError):
        log.warning("%s: is damaged, and made anew", path)
        return None
    return certificate if certificate.public_key() == key.public_key() else None


def _find_objection(
    known: x509.Certificate, held: Collection[str], names: Iterable[str], now: datetime.datetime
) -> str | None:
    """Return why another one is to be made; None: this one will do."""
    if not known.not_valid_before_utc <= now <= known.not_valid_after_utc - RENEWED_BEFORE:
        return "the time of the one before is over"
    missing = [one for one in _order(names, ())[:MAX_NEEDED] if one not in held and _matters(one)]
    return f"the one before is not for {', '.join(missing)}" if missing else None


def _matters(name: str) -> bool:
    ip = _read_ip(name)
    return ip is None or (ip.version == 4 and not ip.is_link_local)


def _names_in(certificate: x509.Certificate) -> list[str]:
    from cryptography import x509

    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return [*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))]


def _order(names: Iterable[str], held: Iterable[str]) -> list[str]:
    """Return what stands in a new one: what is so now, then what was; one that goes to and fro stays."""
    now = sorted(filter(None, map(_clean, names)), key=lambda one: (not _matters(one), one))
    return list(dict.fromkeys([*now, *_LOCAL, *held]))[:MAX_NAMES]


def _clean(name: str) -> str:
    """Return a name or an address as a certificate holds it; empty where it cannot."""
    if (ip := _read_ip(name)) is not None:
        return str(ip)
    try:
        return name.lower().rstrip(".").encode("idna").decode()
    except UnicodeError:
        return ""


def _read_ip(name: str) -> _Address | None:
    try:
        return ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return None


def _make(names: Iterable[str], now: datetime.datetime) -> tuple[x509.Certificate, bytes]:
    """Return a new certificate, and what is kept: the key and the certificate."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    entries: list[x509.GeneralName] = []
    for one in names:
        ip = _read_ip(one)
        if ip is not None:
            entries.append(x509.IPAddress(ip))
        else:
            entries.append(x509.DNSName(one))
    first = next((one.value for one in entries if isinstance(one, x509.DNSName)), "multirig")
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "multirig console"),
            x509.NameAttribute(NameOID.COMMON_NAME, first[:64]),
        ]
    )
    usage = dict.fromkeys(
        "content_commitment key_encipherment data_encipherment key_agreement key_cert_sign crl_sign "
        "encipher_only decipher_only".split(),
        False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLY)
        .not_valid_after(now + LIFE)
        .add_extension(x509.SubjectAlternativeName(entries), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.KeyUsage(digital_signature=True, **usage), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate, secret + certificate.public_bytes(serialization.Encoding.PEM)
