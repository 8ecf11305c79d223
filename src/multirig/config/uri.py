"""Where a rig listens or can be reached: an address in any of its forms, brought into one."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import core_schema

from multirig.config.explaining import show_value
from multirig.errors import ConfigError

DEFAULT_PORT = 11001
"""The port of wire 1.0, which iblutil, Timeline and ScanImage use too."""

SCHEMES = {"udp": "udp", "tcp": "tcp", "ws": "tcp", "wss": "tcp"}
"""How an address may begin, and what it means; iblutil speaks plain TCP behind ``ws`` and ``wss``."""

_LABEL = re.compile(r"\w|\w[\w-]{0,61}\w", re.ASCII)
"""One part of a host name; Windows computers are called things like ``CAM_PC``, so underscores are fine."""

_ZONE = re.compile(r"[\w.~-]+", re.ASCII)
"""The network interface of a link-local IPv6 address: ``eth0``; on Windows a number."""


@dataclass(frozen=True, slots=True)
class Uri:
    """Where a rig listens or can be reached; made by `parse`, which brings it into its one canonical form."""

    scheme: str
    """``udp`` or ``tcp``."""
    host: str
    """An IP address, without brackets, or a host name in lower case; never resolved here."""
    port: int = DEFAULT_PORT
    """1 to 65535; 0 means any free port and is only for listening."""

    @classmethod
    def parse(cls, text: object, *, listening: bool = False) -> Uri:
        """Read an address in any of its forms.

        Parameters
        ----------
        text : str, ipaddress.IPv4Address, ipaddress.IPv6Address or Uri
            ``udp://host:port``, ``tcp://…``; ``ws://`` and ``wss://`` mean plain TCP; scheme and port may be
            left out (``udp``, 11001). IPv6 stands in brackets when a port follows it.
        listening : bool
            Also take port 0, any free port.

        Returns
        -------
        Uri

        Raises
        ------
        ConfigError
            A part of it is wrong; the message says which one, and what a good one looks like.
        """
        if isinstance(text, Uri):
            uri = text
        elif isinstance(text, str):
            uri = cls._split(text)
        elif isinstance(text, ipaddress.IPv4Address | ipaddress.IPv6Address):
            uri = cls("udp", str(text))
        else:
            raise ConfigError(f"{show_value(text)} is not an address: write udp://host:{DEFAULT_PORT}")
        if not (0 if listening else 1) <= uri.port <= 65535:
            raise _bad_address(str(uri), f"the port {uri.port} is not in {0 if listening else 1} to 65535")
        return uri

    @classmethod
    def _split(cls, text: str) -> Uri:
        scheme, marker, rest = text.strip().partition("://")
        if not marker:
            scheme, rest = "udp", scheme
        if scheme.lower() not in SCHEMES:
            raise _bad_address(text, f"the scheme {scheme!r} is not one of {', '.join(SCHEMES)}")
        rest = rest.removesuffix("/")
        if rest.startswith("["):
            inside, bracket, after = rest[1:].partition("]")
            if not bracket or (after and not after.startswith(":")):
                raise _bad_address(text, "the brackets of the IPv6 address do not match")
            host, colon, port = _ipv6(text, inside), after[:1], after[1:]
        elif rest.count(":") > 1:
            host, colon, port = _ipv6(text, rest), "", ""
        else:
            name, colon, port = rest.partition(":")
            host = _host(text, name)
        if not colon:
            return cls(SCHEMES[scheme.lower()], host)
        if not re.fullmatch("[0-9]{1,5}", port):
            raise _bad_address(text, f"the port {port!r} is not a number from 1 to 65535")
        return cls(SCHEMES[scheme.lower()], host, int(port))

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: object, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Let pydantic read it with `parse` and write it as text; one that is made already is kept."""
        return core_schema.no_info_plain_validator_function(
            lambda value: value if isinstance(value, Uri) else cls.parse(value),
            serialization=core_schema.to_string_ser_schema(),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Describe it as the text that it is in a file."""
        return {"type": "string", "examples": [f"udp://192.168.1.20:{DEFAULT_PORT}"]}


def _bad_address(text: str, what: str) -> ConfigError:
    return ConfigError(
        f"{text!r} is not an address: {what}; write udp://host:{DEFAULT_PORT} or udp://[::1]:{DEFAULT_PORT}"
    )


def _ipv6(text: str, host: str) -> str:
    address, percent, zone = host.partition("%")
    try:
        if percent and not _ZONE.fullmatch(zone):
            raise ValueError("no name of a network interface")
        return str(ipaddress.IPv6Address(address)) + percent + zone
    except ValueError:
        raise _bad_address(text, f"the host {host!r} is not an IPv6 address") from None


def _host(text: str, host: str) -> str:
    if not host:
        raise _bad_address(text, "the host is missing")
    labels = host.removesuffix(".").split(".")
    if labels[-1].isdecimal():
        # No host name ends in a number: this was meant as an IP address and must not reach a name server.
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise _bad_address(text, f"the host {host!r} is not an IP address") from None
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise _bad_address(text, f"the host {host!r} is neither a host name nor an IP address")
    # Names are the same in any case; one form, so that one rig under two spellings is noticed.
    return host.lower()
