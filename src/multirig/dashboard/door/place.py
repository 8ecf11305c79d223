"""Where a console is served: its address, socket and encryption, and the names by which browsers reach it."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from multirig.conductor.registration import own_addresses
from multirig.conductor.roster import is_every_address
from multirig.dashboard.door.access import LOOPBACK_NAMES, Names, Token, make_token
from multirig.errors import ConfigError, why_not

NAME_LIMIT = 2.0
"""Seconds that a network may take to say under which name it knows this PC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a console is served, and who may see it."""

    host: str = "127.0.0.1"
    port: int = 8090
    """0: any that is free."""
    certificate: Path | None = None
    key: Path | None = None
    """Both are PEM files; together or not at all."""
    is_plain: bool = False
    """Whether other PCs are to come without encryption."""
    password: str | None = None
    """The hash that is kept."""
    asks_for_token: bool = True
    """Whether only whoever has its printed address may see it, where only this PC reaches it."""
    names: Sequence[str] = ()
    """By which other PCs reach this one, besides its own name and its addresses."""

    @property
    def is_private(self) -> bool:
        """Whether only this PC reaches it."""
        if self.host.lower() == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def is_open(self) -> bool:
        """Whether nobody is asked for anything."""
        return self.is_private and not self.asks_for_token

    @property
    def wants_certificate(self) -> bool:
        """Whether it is encrypted by a certificate that this PC makes for itself."""
        return not (self.is_private or self.is_plain) and self.certificate is None

    def reached_by(self, names: Names) -> list[str]:
        """Return the names and addresses by which browsers reach it, given those under which it answers."""
        addresses = [*own_addresses()] if is_every_address(self.host) else [self.host]
        return [*addresses, *sorted({*names.names} - {self.host.lower()})]

    def make_token(self, secret: bytes) -> Token | None:
        """Return what opens a console that only this PC reaches; None: it asks for nothing, or a password."""
        return Token(make_token(secret)) if self.is_private and self.asks_for_token else None

    def listen(self) -> socket.socket:
        """Return a socket that listens there, and nowhere else; it blocks.

        Raises
        ------
        ConfigError
            The address is in use, or none of this PC's.
        """
        host, port, where = self.host, self.port, f"{self.host}:{self.port}"
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        except OSError:
            raise ConfigError(
                f"console: {host!r} is no address of this PC: give --host 0.0.0.0 for all of them"
            ) from None
        family, kind, protocol, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
        listening = socket.socket(family, kind, protocol)
        try:
            # on Windows SO_REUSEADDR would let two programs share a port
            is_windows = hasattr(socket, "SO_EXCLUSIVEADDRUSE")
            option = "SO_EXCLUSIVEADDRUSE" if is_windows else "SO_REUSEADDR"
            listening.setsockopt(socket.SOL_SOCKET, getattr(socket, option), 1)
            listening.bind(address)
            listening.listen(128)
        except OSError as error:
            listening.close()
            raise ConfigError(
                f"console: cannot listen at {where} ({why_not(error)}): another console may run "
                f"there; choose another port: --port {port + 1 if 0 < port < 65535 else 8091}"
            ) from None
        return listening

    def check_tls(self) -> None:
        """Look at the TLS files before anything is started with them. Raises ConfigError."""
        if (self.certificate is None) != (self.key is None):
            raise ConfigError("TLS takes two files: give both --tls-cert and --tls-key")
        if self.certificate is not None and self.is_plain:
            raise ConfigError("--plain-http is without encryption: leave out --tls-cert and --tls-key, or it")
        if self.certificate is None or self.key is None:
            return
        for path in (self.certificate, self.key):
            if not path.is_file():
                raise ConfigError(f"{path}: there is no such file: check --tls-cert and --tls-key")
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
                self.certificate, self.key, password=_refuse_to_ask
            )
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"{self.certificate} and {self.key} are not a certificate and its key, in PEM form "
                f"({getattr(error, 'reason', None) or error}): check --tls-cert and --tls-key"
            ) from None

    async def find_names(self) -> Names:
        """Return the names and addresses under which the console answers."""
        names = {*LOOPBACK_NAMES, self.host.lower(), *map(str.lower, self.names)}
        if self.is_private:
            return Names(names=frozenset(names))
        own = socket.gethostname().lower()
        names |= {own, f"{own}.local"}
        with contextlib.suppress(asyncio.TimeoutError, OSError):
            names.add((await asyncio.wait_for(asyncio.to_thread(socket.getfqdn), NAME_LIMIT)).lower())
        return Names(names=frozenset(names), any_ip=True)

    def urls(self, port: int) -> list[str]:
        """Return the addresses to type into a browser; `port` is the one where it listens."""
        scheme = "https" if self.certificate is not None else "http"
        hosts = [self.host]
        if is_every_address(self.host):
            version = ipaddress.ip_address(self.host).version
            own = [ip for ip in map(ipaddress.ip_address, own_addresses()) if ip.version == version]
            hosts = (
                [str(ip) for ip in own if not ip.is_link_local] or [str(ip) for ip in own] or ["localhost"]
            )
        return [f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}" for host in hosts]


def _refuse_to_ask() -> str:
    raise ConfigError(
        "the TLS key is encrypted: give --tls-key one without a password, that only you can read"
    )
