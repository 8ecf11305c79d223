"""Base sessions of tasks, ours and iblrig's: what they differ in for whoever adds rigs to them."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Callable, Mapping
from typing import Any

from multirig.errors import ConfigError
from multirig.ibl.chosen_rigs import list_names
from multirig.ibl.settings import get_setting

_SIGNS = ("init_mixin_network", "_execute_mixins_shared_function")
"""Methods by which a base session, or a network of its own, is known."""


def is_main_sync(hardware_settings: Any) -> bool:
    """Return whether this PC owns the experiment's number, by the hardware settings of a base session."""
    return bool(get_setting(hardware_settings, "MAIN_SYNC"))


def find_date(session_info: Mapping[str, Any]) -> datetime.date:
    """Return the day on which a session has begun."""
    return datetime.date.fromisoformat(str(session_info["SESSION_START_TIME"])[:10])


def find_own_network(cls: type, mixin: type) -> type | None:
    """Return the class below the mixin that brings a network of its own, as iblrig's NetworkSession does."""
    below = cls.__mro__[cls.__mro__.index(mixin) + 1 :]
    return next((each for each in below if "init_mixin_network" in vars(each)), None)


def check_bases(cls: type, mixin: type) -> None:
    """Refuse a class that would lead its rigs without the mixin.

    Raises
    ------
    ConfigError
        A base session stands before the mixin.
    """
    for each in cls.__mro__[: cls.__mro__.index(mixin)]:
        if not issubclass(each, mixin) and any(sign in vars(each) for sign in _SIGNS):
            raise ConfigError(
                f"class {cls.__name__}: {each.__name__} stands before {mixin.__name__}, so no rig would be "
                f"led: write {mixin.__name__} first"
            )


def handing_on(method: Callable[..., None]) -> Callable[..., None]:
    """Return a constructor that is refused where it keeps ``remote_rigs`` to itself.

    Raises
    ------
    ConfigError
        It was given rigs, and the mixin was not.
    """

    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> None:
        method(self, *args, **kwargs)
        if (names := list_names(kwargs.get("remote_rigs"))) and not list_names(self._asked):
            raise ConfigError(
                f"{', '.join(names)}: no rig is led, because {type(self).__name__}.__init__ does not hand "
                "remote_rigs on: give super().__init__ its **kwargs"
            )

    return call


def refuse_unled(cls: type, remote_rigs: Any) -> None:
    """Refuse rigs that a base session was asked for, and has not led.

    Raises
    ------
    ConfigError
        There are some.
    """
    if names := list_names(remote_rigs):
        raise ConfigError(
            f"{', '.join(names)}: no rig is led, because {cls.__name__} does not call init_mixin_network as "
            "iblrig's sessions do: derive it from iblrig's BaseSession, or from multirig.ibl.NetworkSession"
        )
