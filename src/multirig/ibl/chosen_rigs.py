"""Which rigs take part in a task, where they are and what they mean to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from multirig.conductor.roster import Roster
from multirig.config import Uri, load_conductor_config
from multirig.errors import ConfigError
from multirig.ibl.net.rigs import rigs_file_for
from multirig.ibl.settings import get_setting
from multirig.lifecycle.clock_gate import ClockGate
from multirig.lifecycle.policy import RigPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenRigs:
    """The rigs of one task; none by default."""

    uris: Mapping[str, Uri] = field(default_factory=dict)
    """Where they are, in the order in which they are named."""
    policies: Mapping[str, RigPolicy] = field(default_factory=dict)
    """What each means to the session, of those that the rigs file was asked for."""
    clock_gate: ClockGate | None = None
    """When clocks are good enough for a start, as ``multirig.yaml`` beside the rigs file says."""
    may_have_token: tuple[str, ...] = ()
    """Who may be sent the Alyx token in clear, as the settings say, or that file."""


def rigs_of(task: Any) -> Mapping[str, Uri]:
    """Return where the rigs of a task are; of one that takes none, nothing."""
    chosen = getattr(task, "_chosen", None)
    return chosen.uris if isinstance(chosen, ChosenRigs) else {}


def choose_rigs(remote_rigs: Any, iblrig_settings: Mapping[str, Any] | None = None) -> ChosenRigs:
    """Return the chosen rigs: names in the rigs file, nested at will, addresses, or a mapping of both."""
    if not remote_rigs:
        return ChosenRigs()
    rigs_file = rigs_file_for(iblrig_settings)
    uris: dict[str, Uri] = {}
    policies: dict[str, RigPolicy] = {}
    if isinstance(remote_rigs, Mapping):
        uris = {name: Uri.parse(uri) for name, uri in remote_rigs.items()}
    elif names := list_names(remote_rigs):
        known = [name for name in names if "://" not in name]
        roster = Roster.load(rigs_file) if known else Roster(rigs_file, {})
        found = roster.select(known)
        uris = {name: found[name] if name in found else Uri.parse(name) for name in names}
        policies = roster.policies(known)
    else:
        return ChosenRigs()
    config = load_conductor_config(rigs_file)
    return ChosenRigs(
        uris=uris,
        policies=policies,
        clock_gate=config.clock.to_gate(),
        may_have_token=tuple(
            get_setting(iblrig_settings, "allow_cleartext_token") or config.allow_cleartext_token
        ),
    )


def list_names(remote_rigs: Any) -> list[str]:
    """Return the names, or addresses, of the rigs that were asked for; none for nothing at all.

    Raises
    ------
    ConfigError
        Something in it is neither a name nor holds names.
    """
    return list(dict.fromkeys(_flat(remote_rigs or ())))


def _flat(names: Any) -> Iterator[str]:
    if isinstance(names, str):
        yield names
    elif isinstance(names, Iterable) and not isinstance(names, bytes):
        for name in names:
            yield from _flat(name)
    elif names is not None:
        raise ConfigError(f"remote_rigs: {names!r:.40} names no rig: give names, addresses, or a map of both")
