"""Which rigs a command line means."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from multirig.conductor.naming import learn_names
from multirig.conductor.roster import Roster, find_rigs_file
from multirig.config import Uri
from multirig.errors import ConfigError
from multirig.lifecycle.policy import RigPolicy


def choose_rigs(remote: list[str], rigs_file: Path | None) -> tuple[dict[str, Uri], dict[str, RigPolicy]]:
    """Return the chosen rigs' addresses, and what those mean to the session that the rigs file names.

    Names are looked up; a rig that is given by its address is asked what it is called.
    """
    names = [one for one in remote if "://" not in one]
    chosen: Mapping[str, Uri] = {}
    policies: dict[str, RigPolicy] = {}
    if names or not remote:
        roster = Roster.load(find_rigs_file(rigs_file))
        if not remote:
            known = (
                ", ".join(roster.entries) or "none yet; add one: multirig rigs add cameras udp://192.168.1.20"
            )
            raise ConfigError(f"say which rigs take part: --remote NAME...; known: {known}")
        chosen, policies = roster.select(names), roster.policies(names)
    rigs = {one: chosen[one] if one in chosen else Uri.parse(one) for one in remote}
    return asyncio.run(learn_names(rigs)) if len(names) < len(remote) else rigs, policies
