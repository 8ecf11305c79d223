"""The package as a lab installs it: one file, and nothing of the checkout beside it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from multirig.config import load_rig_config
from multirig.version import __version__

ROOT = Path(__file__).parents[2]
LIMIT = 60
pytestmark = [
    pytest.mark.xdist_group("installing"),
    pytest.mark.skipif(os.name == "nt", reason="make windows installs it there from outside"),
]
Run: TypeAlias = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the package's file, without the internet."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stderr}\nhatchling builds it: make prepare"
    [built] = folder.glob("multirig-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install it where nothing else is, but what it uses; return the command."""
    place = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(place / "bin" / "python"), "install"]
    options = ["--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--no-compile"]
    subprocess.run([*pip, *options, str(wheel)], check=True)
    [packages] = place.glob("lib/python*/site-packages")
    # paths alone: what stands in .pth files there, such as this checkout, is not looked at
    used = [one for one in sys.path if Path(one).name == "site-packages"]
    (packages / "used.pth").write_text("\n".join(used))
    return place / "bin" / "multirig"


@pytest.fixture
def run(installed: Path, tmp_path: Path) -> Run:
    """Run the command as its user, far from the checkout."""
    home = {f"XDG_{kind}_HOME": str(tmp_path / kind.lower()) for kind in ("STATE", "CONFIG", "CACHE")}
    environment: Mapping[str, Any] = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
        **home,
        "COLUMNS": "200",
        "PATH": os.pathsep.join([str(installed.parent), os.environ["PATH"]]),
    }

    def start(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(installed.parent / words[0]), *words[1:]],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT,
        )

    return start


def test_the_file_holds_everything(wheel: Path) -> None:
    source = ROOT / "src"
    wanted = {
        one.relative_to(source).as_posix()
        for one in (source / "multirig").rglob("*")
        if one.is_file() and "__pycache__" not in one.parts
    }
    with zipfile.ZipFile(wheel) as opened:
        there = set(opened.namelist())
        about = opened.read(f"multirig-{__version__}.dist-info/METADATA").decode()
        points = opened.read(f"multirig-{__version__}.dist-info/entry_points.txt").decode()
    assert {one for one in there if ".dist-info/" not in one} == wanted
    assert {"multirig/py.typed", "multirig/dashboard/pages/console.css"} <= there
    assert any(one.endswith("licenses/LICENSE") for one in there)
    assert {"camera", "console", "plot", "ibl"} <= {
        line.partition(": ")[2] for line in about.splitlines() if line.startswith("Provides-Extra")
    }
    assert "multirig = multirig.cli.start:main" in points
    assert "camera = multirig.rig.adapters.camera:Camera" in points


def test_it_runs_without_the_checkout(run: Run, installed: Path, tmp_path: Path) -> None:
    where = run("python", "-c", "import multirig; print(multirig.__file__)")
    assert Path(where.stdout.strip()).is_relative_to(installed.parents[1]), where
    assert run("multirig", "--version").stdout == f"multirig {__version__}\n"
    done = run("multirig", "demo", "--seconds", "0.5")
    assert done.returncode == 0, done.stderr
    assert "GOOD" in done.stdout
    assert list((tmp_path / "multirig-demo").rglob("pc_monitor.csv"))


def test_a_rig_is_set_up_and_looked_at(run: Run, tmp_path: Path) -> None:
    done = run("multirig", "new", "rig", "cam.yaml", "--yes", "--data", "rec", "--name", "cam")
    assert done.returncode == 0, done.stderr
    assert load_rig_config(tmp_path / "cam.yaml").adapter.type == "camera"
    assert "\n  multirig serve " in done.stdout  # as it is typed, since it is on PATH
    done = run("multirig", "check", "--remote", "udp://127.0.0.1:1")
    assert done.returncode == 1
    assert "nothing listens there" in done.stdout


def test_what_its_console_shows_is_found(run: Run) -> None:
    """The page's own files lie beside its code, wherever that is installed."""
    asked = (
        "from multirig.dashboard import pages; from pathlib import Path; print(Path(pages.__file__).parent)"
    )
    folder = Path(run("python", "-c", asked).stdout.strip())
    assert {"console.css", "console.js"} <= {one.name for one in folder.iterdir()}


def test_the_version_before_can_be_put_back(run: Run, wheel: Path, installed: Path, tmp_path: Path) -> None:
    """As a lab does it, from a folder that holds each version's file."""
    newer = tmp_path / "source"
    shutil.copytree(ROOT / "src", newer / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, newer)
    (newer / "src/multirig/version.py").write_text('"""Newer."""\n\n__version__ = "99.0"\n')
    folder = tmp_path / "server"
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=newer, check=True, capture_output=True)
    shutil.copy(wheel, folder)
    pip = [sys.executable, "-m", "pip", "--python", str(installed.parent / "python"), "install", "--quiet"]
    options = [
        "--disable-pip-version-check",
        "--no-index",
        "--no-deps",
        "--no-compile",
        "--find-links",
        str(folder),
    ]
    for wanted, got in ((["--upgrade", "multirig"], "99.0"), ([f"multirig=={__version__}"], __version__)):
        subprocess.run([*pip, *options, "--find-links", str(folder), *wanted], check=True)
        assert run("multirig", "--version").stdout == f"multirig {got}\n"
