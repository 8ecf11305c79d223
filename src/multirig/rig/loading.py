"""From a rig's configuration to its adapter, by entry point."""

from __future__ import annotations

import dataclasses
import inspect
import sys
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import SimpleNamespace
from typing import Any, get_type_hints

from pydantic import PydanticUserError, TypeAdapter, ValidationError

from multirig.config import AdapterConfig, explain, suggestion
from multirig.errors import ConfigError
from multirig.rig.adapter import Adapter

GROUP = "multirig.adapters"
"""The entry point group in which a package offers its adapters."""


def adapter_names() -> list[str]:
    """Return the names of all installed adapters, sorted; none of them is imported."""
    return sorted({each.name for each in entry_points(group=GROUP)})


def build_adapter(config: AdapterConfig, rig: str) -> Adapter:
    """Import the adapter that the configuration names, check its options and build it.

    Parameters
    ----------
    config : AdapterConfig
        Its type and options.
    rig : str
        Name of the rig, for messages.

    Returns
    -------
    Adapter
        Not initialised yet.

    Raises
    ------
    ConfigError
        No such adapter, one that cannot be imported (a missing extra), or a wrong option.
    """
    source = f"rig {rig}"
    entry = _find(config.type, source)
    adapter_class = _load(entry, source)
    try:
        keys = find_keys(adapter_class)
        checked: Any = TypeAdapter(keys).validate_python(config.options)
    except ConfigError as error:
        raise ConfigError(
            f"{source}: adapter.type: the adapter {config.type!r} cannot be used: {error}"
        ) from error
    except ValidationError as error:
        raise ConfigError(explain(error, source, prefix="adapter", model=keys)) from error
    try:
        return adapter_class(**{name: getattr(checked, name) for name in config.options})
    except ValueError as error:
        raise ConfigError(f"{source}: adapter: {error}") from error


@cache
def find_keys(adapter_class: type[Adapter]) -> type:
    """Return a dataclass of the adapter's keys: the fields that are set when it is built.

    The others are the adapter's own business, of whatever type: an open file, a driver's handle.

    Raises
    ------
    ConfigError
        The type of a key cannot be found; the message names it.
    """
    keys: list[tuple[str, Any, Any]] = []
    for one in dataclasses.fields(adapter_class):
        if one.init:
            copied = dataclasses.field(default=one.default, default_factory=one.default_factory)
            hint = _find_type(adapter_class, one.name)
            _check_type(one.name, hint)
            keys.append((one.name, hint, copied))
    namespace = {"__pydantic_config__": adapter_class.__pydantic_config__, "__doc__": adapter_class.__doc__}
    return dataclasses.make_dataclass(adapter_class.__name__, keys, kw_only=True, namespace=namespace)


def _check_type(name: str, hint: Any) -> None:
    try:
        TypeAdapter(hint)
    except PydanticUserError:
        raise ConfigError(
            f"its key {name!r} is of a type that no file can give ({getattr(hint, '__name__', hint)}): "
            "if it is no key, write field(init=False)"
        ) from None


def _find_type(adapter_class: type[Adapter], name: str) -> Any:
    owner = next(base for base in adapter_class.__mro__ if name in vars(base).get("__annotations__", {}))
    known = {**vars(sys.modules[owner.__module__]), **vars(owner)}
    alone = SimpleNamespace(__annotations__={name: owner.__annotations__[name]})
    try:
        return get_type_hints(alone, known, include_extras=True)[name]
    except NameError as error:
        raise ConfigError(
            f"the type of its key {name!r} cannot be found ({error}): import it where the adapter is "
            "written, not for type checkers only; if it is no key, write field(init=False)"
        ) from None


def _find(name: str, source: str) -> EntryPoint:
    # A package that is installed twice, or once and again from a checkout, offers the same thing twice.
    offers = {each.value: each for each in entry_points(group=GROUP, name=name)}
    if not offers:
        raise ConfigError(
            f"{source}: adapter.type: there is no adapter {name!r}"
            f"{suggestion(name, adapter_names(), 'adapters')}"
        )
    if len(offers) > 1:
        raise ConfigError(
            f"{source}: adapter.type: {name!r} is offered by {' and '.join(sorted(offers))}: "
            "uninstall all but one of these packages"
        )
    return next(iter(offers.values()))


def _load(entry: EntryPoint, source: str) -> type[Adapter]:
    where = f"{source}: adapter.type: the adapter {entry.name!r}"
    try:
        loaded = entry.load()
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{where} needs {error.name}, which is not installed: {_remedy(entry, error)}"
        ) from error
    except ConfigError as error:  # the adapter says itself what it lacks
        raise ConfigError(f"{where}: {error}") from error
    except Exception as error:
        # Foreign code, or a driver that is missing, may raise anything here.
        text = " ".join(str(error).split()) or "no reason given"
        raise ConfigError(
            f"{where} cannot be imported ({type(error).__name__}: {text}): "
            "check its installation; the log holds the details"
        ) from error
    if not (isinstance(loaded, type) and issubclass(loaded, Adapter)):
        raise ConfigError(
            f"{where} ({entry.value}) is not a subclass of Adapter: correct the package's entry point"
        )
    if inspect.isabstract(loaded):
        lacks = " and ".join(sorted(loaded.__abstractmethods__))
        raise ConfigError(f"{where} ({entry.value}) lacks {lacks}: write these hooks")
    return loaded


def _remedy(entry: EntryPoint, error: ModuleNotFoundError) -> str:
    """Name the extra to install: by convention it is called like the adapter."""
    package = entry.dist.metadata if entry.dist else None
    if package and entry.name in (package.get_all("Provides-Extra") or ()):
        return f"pip install '{package['Name']}[{entry.name}]'"
    return f"pip install {(error.name or '').partition('.')[0]}, or reinstall the adapter's package"
