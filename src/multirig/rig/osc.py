"""Open Sound Control 1.0 messages, as far as stopping a program needs them.

Source: https://opensoundcontrol.stanford.edu/spec-1_0.html, "OSC Messages" and "OSC Type Tag String".
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from multirig.errors import ConfigError

_INT32 = range(-(2**31), 2**31)


def encode_osc(address: str, arguments: Sequence[int | float | str] = ()) -> bytes:
    """Encode one OSC message.

    Parameters
    ----------
    address : str
        Address pattern, beginning with a slash: ``/stop``.
    arguments : sequence of int, float or str
        Sent as int32, float32 and string.

    Returns
    -------
    bytes
        What goes into one datagram.

    Raises
    ------
    ConfigError
        OSC 1.0 cannot carry the address or one of the arguments.
    """
    if not address.startswith("/") or " " in address:
        raise ConfigError(f"OSC address {address!r} must begin with '/' and hold no space")
    tags = ","
    content = b""
    for argument in arguments:
        match argument:
            case bool():
                raise ConfigError(f"OSC argument {argument!r} is a truth value: give 0 or 1")
            case int():
                if argument not in _INT32:
                    raise ConfigError(f"OSC argument {argument} does not fit into 32 bits")
                tags += "i"
                content += struct.pack(">i", argument)
            case float():
                tags += "f"
                try:
                    content += struct.pack(">f", argument)
                except OverflowError:
                    raise ConfigError(f"OSC argument {argument} does not fit into a 32-bit float") from None
            case _:
                tags += "s"
                content += _encode_string(argument)
    return _encode_string(address) + _encode_string(tags) + content


def _encode_string(text: str) -> bytes:
    """ASCII, ended by one to four zero bytes so that the next part begins on a multiple of four."""
    if not text.isascii() or "\0" in text:
        raise ConfigError(f"OSC text {text!r} must be ASCII without zero characters")
    return text.encode("ascii") + b"\0" * (4 - len(text) % 4)
