"""Questions to the person at the PC, each with an answer that is taken where none is typed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from multirig.cli import render
from multirig.errors import ConfigError

_Answer = TypeVar("_Answer")


class Interview:
    """Asks, and asks again where an answer cannot be; or takes what is usual, without a question.

    Parameters
    ----------
    asks : bool
        Whether a person is to be asked; otherwise each default is taken, and told.
    read_line : callable
        Shows a question, and returns what is typed.
    object_to : callable
        Shows why an answer cannot be.
    """

    def __init__(
        self,
        *,
        asks: bool,
        read_line: Callable[[str], str] = render.ask,
        object_to: Callable[[str], object] = render.warn,
    ) -> None:
        self._asks = asks
        self._read_line = read_line
        self._object_to = object_to

    def ask(
        self, question: str, default: str, check: Callable[[str], _Answer], given: str | None = None
    ) -> _Answer:
        """Return an answer.

        Parameters
        ----------
        question : str
            Without a question mark.
        default : str
            What Enter alone means.
        check : callable
            Makes of a text what is meant, or raises ConfigError.
        given : str, optional
            The answer, if it was given beforehand: then nobody is asked.

        Raises
        ------
        ConfigError
            What was given, or the default where nobody is asked, cannot be.
        """
        if given is not None:
            return check(given)
        if not self._asks:
            answer = check(default)
            render.say_answer(question, default)
            return answer
        while True:
            text = self._read_line(f"{question}? [{default}]").strip()
            try:
                return check(text or default)
            except ConfigError as error:
                self._object_to(str(error))

    def choose(self, question: str, choices: Sequence[str], default: int, given: int | None = None) -> int:
        """Return the place of one of some choices in their list; each stands in a line of its own."""
        [chosen] = self.choose_some(question, choices, default, None if given is None else [given], most=1)
        return chosen

    def choose_some(
        self,
        question: str,
        choices: Sequence[str],
        default: int,
        given: Sequence[int] | None = None,
        *,
        check: Callable[[Sequence[int]], None] = lambda _: None,
        most: int | None = None,
    ) -> Sequence[int]:
        """Return the places of one or more choices, in the order in which they were typed."""
        if given is not None:
            return given
        if self._asks:
            render.say(f"{question}?")
            for number, one in enumerate(choices, 1):
                render.say(f"  {number}  {one}")

        def read(text: str) -> Sequence[int]:
            numbers = _read_numbers(text, len(choices), most)
            check(numbers)
            return numbers

        if not self._asks:
            check([default])
            render.say_answer(question, choices[default])
            return [default]
        return self.ask(
            "Which number" if most == 1 else "Which number, or numbers as 1,2", str(default + 1), read
        )


def _read_numbers(text: str, count: int, most: int | None) -> Sequence[int]:
    words = text.replace(",", " ").split()
    if not all(one.isdecimal() and 1 <= int(one) <= count for one in words) or not words:
        raise ConfigError(f"{text!r} is none of the numbers: type one from 1 to {count}")
    numbers = list(dict.fromkeys(int(one) - 1 for one in words))
    if most is not None and len(numbers) > most:
        raise ConfigError(f"{text!r} is more than one: type one number from 1 to {count}")
    return numbers


def read_yes(text: str) -> bool:
    """Return whether an answer means yes."""
    word = text.strip().lower()
    if word in ("y", "yes", "n", "no"):
        return word.startswith("y")
    raise ConfigError(f"{text!r} is neither yes nor no: type yes or no")
