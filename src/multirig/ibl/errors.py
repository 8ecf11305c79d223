"""Errors that IBL's interface promises by their builtin types."""

from __future__ import annotations

import asyncio

from multirig.errors import ConfigError, SessionFailed, Unconfirmed


class NotAllAnswered(SessionFailed, Unconfirmed, asyncio.TimeoutError):
    """Some rigs did not answer in time; prints as a tree, rig by rig."""


class NotConfirmed(Unconfirmed, asyncio.TimeoutError):
    """A peer has not sent a message back in time: whether it has it is not known."""


class AlyxTokenNotAllowed(ConfigError, PermissionError):
    """A peer may not be sent the Alyx token in clear."""


class AddressNotFree(ConfigError, OSError):
    """A server's address cannot be had."""
