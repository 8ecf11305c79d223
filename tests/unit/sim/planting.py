"""How bugs are planted: what they change is as it was afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

Mutant = Callable[[], AbstractContextManager[None]]


@contextmanager
def swapped(where: Any, name: str, value: Any) -> Iterator[None]:
    """Let something be something else for a while."""
    before = getattr(where, name)
    setattr(where, name, value)
    try:
        yield
    finally:
        setattr(where, name, before)


def swap(where: Any, name: str, value: Any) -> Mutant:
    return lambda: swapped(where, name, value)


def change(where: Any, name: str, make: Callable[[Any], Any]) -> Mutant:
    """Let a function be what is made of it."""
    return lambda: swapped(where, name, make(getattr(where, name)))


def rewrite(where: Any, name: str, rules: Mapping[Any, Any]) -> Mutant:
    """Let a table have other cells."""
    return lambda: swapped(where, name, {**getattr(where, name), **rules})
