"""Questions to the person at the keyboard."""

from __future__ import annotations

import math


def ask_number(question: str, *, whole: bool = False, may_skip: bool = False) -> float | int | None:
    """Ask for a number of at least 0 until one is given.

    Parameters
    ----------
    question : str
        For example ``SP_01 weight (g)``.
    whole : bool
        Whether it counts something.
    may_skip : bool
        Whether an empty line is an answer.

    Returns
    -------
    float, int or None
        None: skipped, or there is no keyboard.
    """
    while True:
        try:
            answer = input(f"{question}: ").strip()
        except EOFError:
            return None
        if not answer and may_skip:
            return None
        try:
            number = int(answer) if whole else float(answer)
        except ValueError:
            number = -1
        if number >= 0 and math.isfinite(number):
            return number
        print(f"give a {'whole ' if whole else ''}number{', or nothing' if may_skip else ''}")
