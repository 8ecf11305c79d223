"""All that a console needs before its first page is served: its secret, its people, its certificate."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from multirig.dashboard.door.access import Names, Token
from multirig.dashboard.door.certificate import OwnCertificate, load_certificate
from multirig.dashboard.door.guard import App, Guard
from multirig.dashboard.door.people import People
from multirig.dashboard.door.place import Place
from multirig.dashboard.door.secret import load_secret
from multirig.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """What stands between a console and whoever comes."""

    place: Place
    folder: Path
    """Where the console keeps what is its own."""
    secret: bytes
    people: People
    token: Token | None
    names: Names = Names()  # noqa: RUF009  it is frozen
    """Under which it answers."""
    own_certificate: OwnCertificate | None = None
    """None: it has another one, or is not encrypted."""

    def at(self, names: Names) -> Door:
        """Return this door, answering to these names, and encrypted by a certificate for them; it blocks.

        Raises
        ------
        ConfigError
            The certificate can be neither read nor made.
        """
        if not self.place.wants_certificate:
            return replace(self, names=names)
        own = load_certificate(self.folder, self.place.reached_by(names))
        return replace(
            self, names=names, place=replace(self.place, certificate=own.path), own_certificate=own
        )

    def guard(self, app: App, port: int) -> Guard:
        """Return what stands before an application that is served at a port."""
        is_encrypted = self.place.certificate is not None
        return Guard(
            app,
            names=self.names,
            password=self.token if self.place.is_private else self.place.password,
            people=None if self.place.is_open else self.people,
            secret=self.secret,
            folder=self.folder,
            # a cookie belongs to a host whatever the port, and a PC may serve several consoles
            cookie=f"{'__Host-' if is_encrypted else ''}multirig_{port}",
            is_secure=is_encrypted,
        )

    def addresses(self, port: int) -> tuple[Sequence[str], str]:
        """Return the addresses that open it, and one for a browser that is opened here."""
        urls = self.place.urls(port)
        return (urls, urls[0]) if self.token is None else self.token.open_addresses(urls, time.monotonic())


def check_entry(place: Place, folder: Path) -> People:
    """Return who may come in by name; see `prepare_door`."""
    people = People(folder)
    if not place.is_private and place.password is None and not people.accounts:
        raise ConfigError(
            f"at {place.host} other PCs could reach the console, and it has no password: "
            "set one with multirig console --set-password, or make an account with multirig password NAME"
        )
    place.check_tls()
    return people


def prepare_door(place: Place, folder: Path) -> Door:
    """Return the door of a console; it blocks, and makes the secret where there is none yet.

    Parameters
    ----------
    place : Place
        Where it is served.
    folder : pathlib.Path
        Where the console keeps what is its own.

    Raises
    ------
    ConfigError
        It is not loopback and nobody could come in, the TLS files are no good, or something cannot be kept.
    """
    people = check_entry(place, folder)
    secret = load_secret(folder)
    return Door(place=place, folder=folder, secret=secret, people=people, token=place.make_token(secret))
