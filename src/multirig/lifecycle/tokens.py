"""Who is given an Alyx token, on a rig and on the PC of a conductor."""

from __future__ import annotations

from collections.abc import Callable, Container

from multirig.lifecycle.answers import fail
from multirig.protocol.events import Fail, Reply, Settle, Token
from multirig.protocol.messages import Event
from multirig.protocol.rights import object_to_asker, object_to_token
from multirig.protocol.words import AlyxToken, AskToken


class TokenDesk:
    """Keeps a token, and gives it to those who may have it.

    Parameters
    ----------
    objects : callable
        Why whoever sends a request, of the name or address that goes with it, is not given it; empty: it is.
    """

    def __init__(self, objects: Callable[[Token, str], str]) -> None:
        self.token = AlyxToken()
        self.objects = objects

    def take(self, word: AlyxToken | AskToken, asker: Token, who: str) -> Reply | Settle | Fail:
        """Take a token, or answer whoever asks for it."""
        if isinstance(word, AlyxToken):
            self.token = word
            return Settle(token=asker)  # the sender of a token waits for the receipt only
        if why := self.objects(asker, who):
            return fail(Event.ALYX, asker, why)
        return Reply(token=asker, word=self.token)


def gives_to(names: Container[str]) -> Callable[[Token, str], str]:
    """Return what a conductor objects to rigs that ask: it has those named that are given the token."""
    return lambda asker, name: "" if name in names else object_to_token(name, _HINT)


def gives_to_nobody(asker: Token, host: str) -> str:
    """Return what a rig objects to whoever asks, where its config names nobody."""
    return object_to_asker(None, host, ())


_HINT = "allow it by name on the conductor's PC"
