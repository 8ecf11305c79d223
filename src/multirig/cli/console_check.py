"""Whether a console would start, before it is installed to start by itself."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from multirig.conductor.roster import find_rigs_file
from multirig.errors import ConfigError


def check_console(parsed: dict[str, Any]) -> None:
    """Look at the options of ``multirig console``.

    Raises
    ------
    ConfigError
        With them it would not start, as far as that can be told before.
    """
    from multirig.dashboard.door.opening import check_entry
    from multirig.dashboard.door.place import Place
    from multirig.dashboard.door.rules import load_rules
    from multirig.state import state_folder

    if find_spec("nicegui") is None:
        raise ConfigError("the console needs NiceGUI: pip install 'multirig[console]'")
    if not parsed["port"]:
        raise ConfigError("--port 0 is another one each time: give one that browsers can keep")
    settings, _ = load_rules(find_rigs_file(parsed["rigs_file"]))
    place = Place(
        host=parsed["host"],
        port=parsed["port"],
        certificate=parsed["tls_cert"],
        key=parsed["tls_key"],
        is_plain=parsed["plain_http"],
        password=settings.password,
        names=settings.names,
    )
    check_entry(place, state_folder() / "console")
