"""The rules of a rig and its node, as its config wants them."""

from __future__ import annotations

from dataclasses import replace

from multirig.config import RigConfig
from multirig.config.rig import ALLOW
from multirig.keyring.door import Access, make_rig_door
from multirig.lifecycle.handing_over import HandingRule
from multirig.lifecycle.rig import RigMachine
from multirig.protocol.dialect import hear_leader
from multirig.protocol.door import Door
from multirig.protocol.events import SECOND, Token
from multirig.protocol.exp_ref import check_subject
from multirig.protocol.node import Node
from multirig.protocol.rights import object_to, object_to_asker
from multirig.protocol.words import Report
from multirig.rig.adapter import Adapter
from multirig.version import __version__


class TokenRule:
    """Objects to those that ask a rig for its Alyx token and are not named in its config."""

    def __init__(self, config: RigConfig) -> None:
        self._named = frozenset(config.alyx_token_to)
        self.door: Door | None = None
        """By which it is known who asks, once there is one."""

    def __call__(self, asker: Token, host: str) -> str:
        """Return why it is not given the token; empty: it is."""
        channel = self.door.channel_to(asker.peer) if self.door is not None and asker.wire == 2 else None
        return object_to_asker(channel.standing if channel is not None else None, host, self._named)


def make_machine(config: RigConfig, adapter: Adapter, subject: str | None, tokens: TokenRule) -> RigMachine:
    """Return the rules of a rig; LocalProtocolError if the subject cannot name a folder."""
    handing = config.take_over
    return RigMachine(
        name=config.name,
        main_sync=config.main_sync,
        objects_to_token=tokens,
        subject=None if subject is None else check_subject(subject),
        stop_after=_nanoseconds(config.on_lost_conductor.stop_after),
        stall_after=_nanoseconds(config.stall_after),
        resumes=adapter.resumes,
        about=Report(adapter=config.adapter.type, version=__version__, is_open=config.open),
        take_over=HandingRule(ask=_nanoseconds(handing.ask), allows=handing.then == ALLOW),
    )


def access_of(config: RigConfig, access: Access) -> Access:
    """Return who is let in: PCs of the lab, and whom the config of a rig names."""
    return replace(access, allow_ibl=tuple(config.allow_ibl), is_open=config.open or access.is_open)


def make_node(config: RigConfig, machine: RigMachine, boot: str, access: Access, tokens: TokenRule) -> Node:
    """Return the node of a rig, which hears PCs of its lab and whom its config lets in."""
    door = make_rig_door(access, boot=boot, name=config.name, objects=object_to)
    tokens.door = door
    return Node(boot=boot, name=config.name, machine=machine, hears=hear_leader, door=door)


def _nanoseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * SECOND)
