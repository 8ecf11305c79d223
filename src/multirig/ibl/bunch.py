"""A dictionary whose keys can be read as attributes, as IBL's code does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Bunch(dict[str, Any]):
    """A dictionary with its keys as attributes: ``bunch.SUBJECT_NAME`` is ``bunch['SUBJECT_NAME']``.

    Keys named like a method of dict (``items``, ``copy``) are reached with brackets only.
    """

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"there is no {name!r} here, only {', '.join(map(str, self))}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self[name]
        except KeyError:
            raise AttributeError(f"there is no {name!r} here") from None

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *(key for key in self if isinstance(key, str))})

    def copy(self) -> Bunch:
        """Return a shallow copy."""
        return type(self)(self)


def bunched(value: Any) -> Any:
    """Return the value with each mapping in it, at any depth, as a Bunch."""
    if isinstance(value, Mapping):
        return Bunch({key: bunched(each) for key, each in value.items()})
    if isinstance(value, list):
        return [bunched(each) for each in value]
    return value


def unbunched(value: Any) -> Any:
    """Return the value with plain dicts and lists at any depth, as YAML needs it."""
    if isinstance(value, Mapping):
        return {key: unbunched(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [unbunched(each) for each in value]
    return value
