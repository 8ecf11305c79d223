"""What a rig's config makes of its rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.unit.trust.lab import NOW, Wire, boot, draws, keys, node

from multirig.config import RigConfig
from multirig.keyring.door import Access
from multirig.protocol.dialect import hear_rig, write
from multirig.protocol.events import SECOND, Address, Refused, Replied, Send, TimedOut, Unreached
from multirig.protocol.messages import Event
from multirig.protocol.words import AlyxToken, Report, Verbatim
from multirig.rig.adapters.fake import Fake
from multirig.rig.rules import TokenRule, make_machine, make_node
from multirig.trust.roles import Role


@pytest.mark.parametrize("is_open", [True, False])
def test_a_rig_that_lets_in_everybody_tells_whoever_looks_on(tmp_path: Path, is_open: bool) -> None:
    config = RigConfig.model_validate(
        {"name": "cameras", "data_folder": tmp_path, "adapter": {"type": "fake"}, "open": is_open}
    )
    told = write(make_machine(config, Fake(), None, TokenRule(config)).report())
    heard = hear_rig(told)
    assert isinstance(heard, Report)
    assert heard.is_open is is_open
    assert ("open" in told.args[1]) is is_open  # 0.1 said nothing of it


class Asks:
    """Asks a rig for its Alyx token."""

    def __init__(self) -> None:
        self.outcomes: list[Any] = []

    def handle(self, event: Any, now: int) -> list[Any]:
        if isinstance(event, Send):
            return [event]
        if isinstance(event, Replied | Refused | TimedOut | Unreached):
            self.outcomes.append(event)
        return []


@pytest.mark.attack
@pytest.mark.parametrize(("named", "is_given"), [("behaviour-pc", True), ("192.168.1.10", False)])
def test_a_rig_gives_its_alyx_token_by_the_key_of_who_asks_and_not_by_its_address(
    tmp_path: Path, named: str, is_given: bool
) -> None:
    config = RigConfig.model_validate(
        {"name": "cam", "data_folder": tmp_path, "adapter": {"type": "fake"}, "alyx_token_to": [named]}
    )
    tokens = TokenRule(config)
    machine = make_machine(config, Fake(), None, tokens)
    machine.tokens.token = AlyxToken(url="https://alyx", credentials={"anna": {"token": "x"}})
    own = keys("video-pc", Role.RIG)
    access = Access(keys=lambda: own, random=draws("cam"), wall=lambda: NOW)
    pc, rig = (Address("udp", f"192.168.1.{number}", 11001) for number in (10, 20))
    asks = Asks()
    asker = node("behaviour-pc", asks, keys("behaviour-pc"), leads=True)
    wire = Wire({pc: asker, rig: make_node(config, machine, boot("video-pc"), access, tokens)})
    asker.handle(Send(address=rig, word=Verbatim(Event.ALYX, (None, {})), key=1, limit=5 * SECOND), 0)
    wire.run(5)
    [outcome] = asks.outcomes
    assert isinstance(outcome, Replied if is_given else Refused)
    if not is_given:
        assert outcome.reason.startswith("behaviour-pc may not be given the Alyx token: name it in")
