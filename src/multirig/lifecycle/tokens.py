"""Who is given an Alyx token, on a rig and on the PC of a conductor."""

from __future__ import annotations

from collections.abc import Callable

from multirig.lifecycle.answers import fail
from multirig.protocol.events import Fail, Reply, Settle, Token
from multirig.protocol.messages import Event
from multirig.protocol.words import AlyxToken, AskToken


class TokenDesk:
    """Keeps a token, and gives it to those who may have it.

    Parameters
    ----------
    may_have : callable
        Whether somebody may be given it, by the name or address that is asked with.
    hint : str
        Where that is said.
    """

    def __init__(self, may_have: Callable[[str], bool], hint: str) -> None:
        self.token = AlyxToken()
        self.may_have = may_have
        self._hint = hint

    def take(self, word: AlyxToken | AskToken, asker: Token, who: str) -> Reply | Settle | Fail:
        """Take a token, or answer whoever asks for it."""
        if isinstance(word, AlyxToken):
            self.token = word
            return Settle(token=asker)  # the sender of a token waits for the receipt only
        if self.may_have(who):
            return Reply(token=asker, word=self.token)
        return fail(Event.ALYX, asker, f"{who} may not be given the Alyx token: {self._hint}")
