"""The command line before anything runs."""

import subprocess
import sys

import pytest
import typer

from multirig.cli.main import load_commands, spread


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (["run", "--remote", "a", "b"], ["run", "--remote", "a", "--remote", "b"]),
        (["run", "--remote", "a", "--remote", "b"], ["run", "--remote", "a", "--remote", "b"]),
        (
            ["run", "--remote", "a", "b", "--seconds", "5"],
            ["run", "--remote", "a", "--remote", "b", "--seconds", "5"],
        ),
        (["run", "-s", "x", "--remote"], ["run", "-s", "x", "--remote"]),
        (["run", "-r", "a", "b", "-s", "x"], ["run", "-r", "a", "-r", "b", "-s", "x"]),
        (["rigs", "ping", "a", "b"], ["rigs", "ping", "a", "b"]),
    ],
)
def test_several_names_may_follow_one_remote(given: list[str], meant: list[str]):
    assert spread(given) == meant


def test_importing_the_package_loads_nothing_heavy():
    code = (
        "import sys, multirig; "
        "print(sorted({name.partition('.')[0] for name in sys.modules} & "
        "{'pydantic', 'yaml', 'typer', 'rich', 'psutil', 'asyncio', 'av', 'numpy'}))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there():
    import multirig

    for name in multirig.__all__:
        assert getattr(multirig, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        multirig.nonsense  # noqa: B018


@pytest.mark.parametrize("command", typer.main.get_command(load_commands()).commands)  # type: ignore[attr-defined]
def test_a_command_is_found_without_loading_the_others(command: str) -> None:
    code = (
        "import sys, typer; from multirig.cli.main import load_commands; "
        f"found = typer.main.get_command(load_commands({command!r})).commands; "
        f"sys.exit({command!r} not in found or len(found) > 4)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
