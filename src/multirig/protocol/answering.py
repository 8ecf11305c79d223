"""How a node greets, and how it answers: on the wire that carried the request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from multirig.errors import LocalProtocolError
from multirig.protocol import codec, frames
from multirig.protocol.brief import greeted_name
from multirig.protocol.dialect import greet, write
from multirig.protocol.events import Fail, Reply, Settle
from multirig.protocol.messages import Event
from multirig.protocol.peers import Peer, Peers
from multirig.protocol.words import Complaint, Greeting, Verbatim, Word


class Answering:
    """Says who a node is, and writes its answers.

    Parameters
    ----------
    boot, name : str
        Of the node.
    greets : callable
        Whether it says that it is a multirig.
    """

    def __init__(self, *, boot: str, name: str, greets: Callable[[], bool]) -> None:
        self._boot = boot
        self._name = name
        self._greets = greets

    def greet(self, word: Word, hello: str = "") -> Verbatim:
        """Return an EXPINFO that says who this is, and may begin a handshake."""
        name = "" if hello else greeted_name(self._name)  # who hears it has proved nothing yet
        greeting = Greeting(wire=frames.VERSION, boot=self._boot, name=name, hello=hello)
        greeted = greet(write(word), greeting)
        return Verbatim(greeted.event, greeted.args)

    def answer(self, peer: Peer, action: Reply | Fail | Settle, now: int) -> str:
        """Answer a request; return why that was not possible, which the peer is then told."""
        token = action.token
        if isinstance(action, Settle):
            if token.wire == 1:
                peer.echo.settle(token)
            return ""
        word = action.word
        try:
            if token.wire == 2:
                if peer.link is not None:
                    peer.link.reply(token, word, now, action.key if isinstance(action, Reply) else None)
            elif isinstance(action, Fail):
                peer.echo.fail(token, action.word)
            else:
                self._answer_on_wire_1(peer, action, now)
        except LocalProtocolError as error:
            failure = Complaint(text=f"{self._name} could not answer: {error}", about=word.event)
            self.answer(peer, Fail(token=token, word=failure), now)
            return f"not sent: {error}"
        return ""

    def _answer_on_wire_1(self, peer: Peer, action: Reply, now: int) -> None:
        word, link = action.word, peer.link
        greets = word.event is Event.EXPINFO and self._greets()
        word = self.greet(word) if greets else word
        knows = link is not None and link.line.takes != 0 and peer.address.scheme != "tcp"
        if greets and link is not None and knows and is_long(word):
            peer.held.append(action)
            link.knock(now)
        else:
            peer.echo.reply(action.token, word, now, action.key, listens=link is not None)

    def answer_held(self, peer: Peer, now: int) -> None:
        """Answer on wire 1.0 who knows no parts; who does has asked again on wire 2 by now."""
        held, peer.held = peer.held, []
        for reply in held:
            if peer.link is not None and peer.link.line.takes:
                peer.echo.settle(reply.token)
            else:
                self.answer(peer, reply, now)


def is_long(word: Word) -> bool:
    """Whether a message is longer than every peer of wire 1.0 reads."""
    return len(codec.encode_array(write(word))) >= codec.TIMELINE_LIMIT


def introduce(peers: Peers, peer: Peer, boot: str, frame: Mapping[str, Any]) -> None:
    """Say who we are to a peer that speaks to a program that has died here, or in another version."""
    if frame.get("n") is not None or frame.get("beat") is not None:
        peers.say(peer, frames.boot_frame(boot, str(frame.get("boot"))))
