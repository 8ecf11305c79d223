"""Who may only look does nothing, and whoever is logged out while a page is open does nothing more."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest

from multirig.dashboard.door.people import Person, Role
from multirig.dashboard.operator import Operator
from multirig.errors import MultirigError

ACTIONS = [name for name in vars(Operator) if not name.startswith("_")]


class NoConsole:
    """Has nothing that could be called: whoever gets as far as that has not asked who it is."""


async def press(operator: Operator, name: str) -> Any:
    action = getattr(operator, name)
    asked = [one for one in inspect.signature(action).parameters.values() if one.default is one.empty]
    done = action(*(["x"] * len(asked)))
    return await done if inspect.isawaitable(done) else done


@pytest.mark.attack
@pytest.mark.parametrize("name", ACTIONS)
def test_every_action_asks_first_who_it_is(name: str) -> None:
    console: Any = NoConsole()
    for person, words in (
        (Person(name="lou", role=Role.LOOK), "lou may look, and change nothing here"),
        (None, "you are logged out: log in again"),
    ):
        operator = Operator(console, lambda person=person: person)  # type: ignore[misc]
        with pytest.raises(MultirigError, match=words):
            asyncio.run(press(operator, name))
    with pytest.raises(AttributeError):  # who may is let through to it
        asyncio.run(press(Operator(console, Person), name))


def test_who_it_is_is_asked_anew_each_time() -> None:
    people = [Person(name="ada"), None]
    said: list[tuple[str, Any]] = []

    class Session:
        async def mark(self, text: str, *, by: str | None) -> None:
            said.append((text, by))

    console: Any = NoConsole()
    console.session = Session()
    operator = Operator(console, lambda: people.pop(0))
    asyncio.run(operator.mark("the door"))
    with pytest.raises(MultirigError, match="logged out"):
        asyncio.run(operator.mark("the window"))
    assert said == [("the door", "ada")]
