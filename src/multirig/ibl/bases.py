"""Base sessions of tasks, ours and iblrig's: what they differ in for whoever adds rigs to them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from multirig.errors import ConfigError, MultirigError
from multirig.ibl.chosen_rigs import list_names
from multirig.ibl.settings import get_setting
from multirig.ibl.task_end import reporting_method

if TYPE_CHECKING:
    from multirig.ibl.auxiliaries import Auxiliaries

_SIGNS = ("init_mixin_network", "_execute_mixins_shared_function")
"""Methods by which a base session, or a network of its own, is known."""


def is_main_sync(hardware_settings: Any) -> bool:
    """Return whether this PC owns the experiment's number, by the hardware settings of a base session."""
    return bool(get_setting(hardware_settings, "MAIN_SYNC"))


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


def watch_methods(cls: type, abandon: Callable[[Any, BaseException], object]) -> None:
    """Have a task's own constructor and run looked at: they must come to the mixin's, or its rigs are let go.

    Parameters
    ----------
    cls : type
        The task.
    abandon : callable
        Is given the task, and the error with which one of them fails.
    """
    for name, handing in (("__init__", handing_on), ("run", handing_on_run)):
        method = vars(cls).get(name)
        if inspect.isfunction(method) and not inspect.iscoroutinefunction(method):
            setattr(cls, name, reporting_method(handing(method), abandon))


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


def handing_on_run(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a task's own ``run``, which is refused where the mixin's is never called.

    Raises
    ------
    MultirigError
        It is over, and its rigs wait to be started.
    """

    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = method(self, *args, **kwargs)
        if waits_for_its_start(self.remote_rigs):
            raise MultirigError(
                f"{', '.join(self.remote_rigs.clients)}: no rig has recorded, because the run of "
                f"{type(self).__name__} does not call super().run()"
            )
        return result

    return call


def waits_for_its_start(rigs: Auxiliaries) -> bool:
    """Whether rigs are led and have not been started, by a step of ours or a message of the task's own."""
    return rigs.is_running and not rigs.conductor.exchange.machine.has_run


def refuse_again(task: Any) -> None:
    """Refuse to run a task whose rigs have been let go.

    Raises
    ------
    MultirigError
        It has asked for some, and leads none.
    """
    names = list_names(task._asked)
    if names and not task.remote_rigs.is_running:
        raise MultirigError(
            f"{', '.join(names)}: no rig is led, because they were let go at the end of this session: make a "
            "new session of the task, and run that"
        )


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
