"""The file of a new rig: where it lies, how it gets there, and what is to be typed next."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from multirig.cli import render
from multirig.cli.interview import Interview, read_yes
from multirig.cli.typed import join, program
from multirig.conductor.registration import find_candidates, own_addresses
from multirig.config import DEFAULT_PORT, Uri, parse_rig_config
from multirig.errors import ConfigError, why_not
from multirig.rig.loading import build_adapter
from multirig.rig.setup.plan import NothingPlan, Plan, write_config
from multirig.rig.setup.proposals import propose_file, propose_folder
from multirig.writing import write_whole


def choose_file(given: Path | None, name: str, *, replaces: bool, asks: bool) -> Path:
    """Return which file is written; one that is there already only where that is wanted.

    Parameters
    ----------
    given : pathlib.Path or None
        What the command line says.
    name : str
        The rig's name, after which the file is called otherwise.
    replaces : bool
        Whether a file is written over without a question.
    asks : bool
        Whether a person is there to be asked.

    Raises
    ------
    ConfigError
        It is there already, and nobody is asked.
    """
    interview = Interview(asks=asks)
    path = given or propose_folder(Path.cwd()) / propose_file(name)
    while path.is_dir() or (path.exists() and not replaces):
        if not asks:
            raise ConfigError(f"{path} is there already: give --replace, or another file")
        question = f"{path} is there already. Write over it, yes or no"
        if path.is_file() and interview.ask(question, "no", read_yes):
            break
        path = interview.ask("Which file then", str(_find_free(path)), _read_path)
    return path


def _read_path(text: str) -> Path:
    return Path(text.strip('"')).expanduser()


def _find_free(path: Path) -> Path:
    number = 2
    while (found := path.with_name(f"{path.stem}-{number}.yaml")).exists():
        number += 1
    return found


def keep(path: Path, plan: Plan) -> None:
    """Check the file as 'multirig serve' does, then put it there, whole; the data folder is made, too.

    Raises
    ------
    ConfigError
        It cannot be written, or would not be taken; nothing is there then.
    """
    text = write_config(plan)
    config = parse_rig_config(text, path)
    build_adapter(config.adapter, config.name)
    try:
        config.data_folder.mkdir(parents=True, exist_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text.encode())
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written ({why_not(error)}): give a file in a folder of your own"
        ) from None
    render.done(f"written: {path.absolute()}")


def show_next(path: Path, plan: Plan, *, system: str) -> None:
    """Print what is to be typed next, here and on the PC that leads."""
    if isinstance(plan.records, NothingPlan):
        render.warn("it drives nothing yet: what it records is made up, to rehearse with")
    for heading, lines in say_next(path, plan, program(), own_addresses(), system).items():
        render.show_lines(heading, lines)


def say_next(
    path: Path, plan: Plan, called: str, own: Mapping[str, str], system: str
) -> dict[str, list[str]]:
    """Return what is to be typed next, under what it is for.

    Parameters
    ----------
    path : pathlib.Path
        The rig's file.
    plan : Plan
        What is in it.
    called : str
        How multirig is called in the terminal.
    own : mapping of str to str
        The IP addresses of this PC, and the name of the network card of each.
    system : str
        As in ``sys.platform``.
    """
    file, started = str(path.absolute()), "Start it, and leave its window open:"
    if system == "win32" and plan.is_led_from_network:
        started = "Start it, leave its window open, and allow what Windows asks once (private networks):"
    there = "on the PC that leads" if plan.is_led_from_network else "in another window"
    return {
        started: [f"{called} {join(['serve', file])}"],
        "Or let it start by itself whenever you log on:": [f"{called} {join(['install', file])}"],
        f"Then, {there}, say where it is, and look whether all is well:": [
            *(f"{called} {one}" for one in _say_addresses(plan, own)),
            f"{called} {join(['check', '--remote', plan.name])}",
        ],
    }


def _say_addresses(plan: Plan, own: Mapping[str, str]) -> list[str]:
    """Return how the leading PC is told where the rig is; of several addresses one is right."""
    hosts = ["127.0.0.1"]
    if plan.is_led_from_network:
        hosts = list(find_candidates([Uri("udp", "0.0.0.0", plan.port)], own))
    port = "" if plan.port == DEFAULT_PORT else f":{plan.port}"
    add = join(["rigs", "add", plan.name])
    if not hosts:
        return [f"{add} udp://ADDRESS{port}     (this PC has no address yet: connect it to the network)"]
    notes = [f"     (if they meet by {own.get(host, host)})" if len(hosts) > 1 else "" for host in hosts]
    shown = [f"[{host}]" if ":" in host else host for host in hosts]
    return [f"{add} udp://{host}{port}{note}" for host, note in zip(shown, notes, strict=True)]
