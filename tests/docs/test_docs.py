"""The documentation, run: configurations load, Python and commands do what the page says.

A block of a page may carry two marks after its language:

``title="cameras.yaml"``
    it is that file, in the folder where the page's other blocks run;
``run``
    its commands are run for real; what is documented below a command is looked for in what it prints.
    Numbers may differ, and a line ``…`` stands for any others.

``on="video-pc"``
    they are run on another PC, which has keys of its own; ``text on="key add"`` is looked for in what
    ``multirig key add`` has shown so far. Its question is answered, and ``multirig key join`` gets its code.

The blocks of a page run in order, in one folder and one process, and share their names. Ports are replaced
by free ones.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = {
    path.relative_to(ROOT).as_posix(): path
    for path in [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
}
LIMIT = 120.0
"""Seconds for a page: a hang shows as a failure; no page promises a time, and a busy PC is slow."""
COMMAND_LIMIT = 60.0
"""Seconds for one command."""
READY_LIMIT = 30.0
"""Seconds for a rig to say what the page promises, as in the tests of the command line."""
BUILT_IN = {"camera", "process", "fake"}
TUTORIALS = ("docs/tutorials/first-session.md", "docs/tutorials/first-networked-task.md")


# -- reading a page ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    language: str
    title: str
    is_run: bool
    text: str
    on: str = ""

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"


def read_blocks(name: str) -> list[Block]:
    blocks = []
    fence = re.compile(r"^```(\w*)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    content = PAGES[name].read_text(encoding="utf-8")
    for found in fence.finditer(content):
        language, marks, text = found.groups()
        title, on = (re.search(rf'{mark}="([^"]+)"', marks) for mark in ("title", "on"))
        line = content.count("\n", 0, found.start()) + 1
        titles = (title[1] if title else "", " run" in marks, text, on[1] if on else "")
        blocks.append(Block(name, line, language, *titles))
    return blocks


def read_prose(name: str) -> str:
    """Return a page without its blocks and comments."""
    content = PAGES[name].read_text(encoding="utf-8")
    content = re.sub(r"^```.*?^```$", "", content, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"<!--.*?-->", "", content, flags=re.DOTALL)


BLOCKS = [block for name in PAGES for block in read_blocks(name)]


def blocks_of(*languages: str) -> Any:
    chosen = [block for block in BLOCKS if block.language in languages]
    return pytest.mark.parametrize("block", chosen, ids=lambda block: block.where)


def read_commands(block: Block) -> list[tuple[str, list[str]]]:
    """Return each command of a block, with the output that stands below it."""
    if block.language != "console":
        lines = [line for line in block.text.splitlines() if line.strip()]
        return [(line, []) for line in lines]
    commands: list[tuple[str, list[str]]] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            commands.append((line[2:], []))
        else:
            commands[-1][1].append(line)
    return commands


# -- running a page, in a process of its own -----------------------------------------------------------------


class PageRunner:
    """Runs the blocks of one page in the present folder."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {"__name__": "__main__"}
        self.ports: dict[str, int] = {}
        self.rigs: list[tuple[subprocess.Popen[str], Path]] = []
        self.code = 0
        self.adding: JoiningScreen | None = None

    def run(self, blocks: Iterable[Block]) -> None:
        for block in blocks:
            try:
                self._take(block)
            except BaseException:
                print(f"{block.where} failed\n{traceback.format_exc()}")
                raise SystemExit(1) from None

    def close(self) -> None:
        if self.adding is not None:
            self.adding.close()
        for process, log in self.rigs:
            has_keyboard = "--no-keyboard" not in process.args
            if not has_keyboard:
                process.terminate()
            process.communicate("quit\n" if has_keyboard else None, timeout=READY_LIMIT)
            assert process.returncode == 0, log.read_text(encoding="utf-8")

    def _take(self, block: Block) -> None:
        text = self._with_free_ports(block.text)
        if block.title:
            Path(block.title).write_text(text, encoding="utf-8")
        elif block.language == "python":
            exec(compile("\n" * block.line + text, block.page, "exec"), self.names)
        elif block.on == "key add":
            assert self.adding is not None
            self.adding.expect(text.splitlines())
        elif block.is_run:
            os.environ["MULTIRIG_KEYS"] = str(Path.home() / f"keys {block.on}".strip())
            for command, expected in read_commands(replace(block, text=text)):
                self._run(command, expected)

    def _run(self, command: str, expected: list[str]) -> None:
        words = shlex.split(command)
        match words:
            case ["echo", "$?"]:
                output = f"{self.code}\n"
            case ["pip", "install", *_, "-e", "."]:
                output = install_here()
            case ["multirig", "serve", config, *_] if Path(config).exists():
                return self._serve(words, expected)
            case ["multirig", "key", "add", *_]:
                self.adding = JoiningScreen([*words, "--port", "0"])
                return self.adding.expect(expected)
            case ["multirig", "key", "join", address, *more]:
                assert self.adding is not None, f"{command} needs a multirig key add before it"
                self.code, output = self.adding.let_join(["multirig", "key", "join", *more])
                assert address not in output
            case ["multirig", *_]:
                done = subprocess.run(
                    words,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    encoding="utf-8",
                    timeout=COMMAND_LIMIT,
                )
                self.code, output = done.returncode, done.stdout
            case _:
                raise AssertionError(f"{command!r} is marked to be run, and only multirig is run here")
        missing = find_missing(expected, output)
        assert not missing, f"{command} did not print {missing}, but\n{output}"
        if not any("✗" in line for line in expected) and words[0] == "multirig":
            refused = expected and "give --replace" in expected[0]
            assert self.code == (2 if refused else 0), f"{command} ended with {self.code}:\n{output}"

    def _serve(self, words: list[str], expected: list[str]) -> None:
        log = Path(f"rig-{len(self.rigs)}.out")
        with log.open("w", encoding="utf-8") as out:
            process = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT, encoding="utf-8"
            )
        self.rigs.append((process, log))
        deadline = time.monotonic() + READY_LIMIT
        while missing := find_missing(expected, log.read_text(encoding="utf-8")):
            ended = process.poll() is not None or time.monotonic() > deadline
            assert not ended, f"{words} did not print {missing}, but\n{log.read_text(encoding='utf-8')}"
            time.sleep(0.02)

    def _with_free_ports(self, text: str) -> str:
        if "127.0.0.1" not in text:
            return text
        return re.sub(r"\b110\d\d\b", lambda found: str(self._port(found[0])), text)

    def _port(self, documented: str) -> int:
        while documented not in self.ports:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
                one.bind(("127.0.0.1", 0))
                port = one.getsockname()[1]
            if port not in self.ports.values():
                self.ports[documented] = port
        return self.ports[documented]


class JoiningScreen:
    """``multirig key add`` at a terminal of its own, and the person in front of it."""

    def __init__(self, words: list[str]) -> None:
        import pty

        self._keyboard, theirs = pty.openpty()
        self._log = Path("key-add.out")
        with self._log.open("w", encoding="utf-8") as out:
            self._process = subprocess.Popen(words, stdin=theirs, stdout=out, stderr=subprocess.STDOUT)
        os.close(theirs)

    def expect(self, lines: Iterable[str]) -> None:
        """Wait until it has shown some lines."""
        lines, deadline = [*lines], time.monotonic() + READY_LIMIT
        while missing := find_missing(lines, shown := self._log.read_text(encoding="utf-8")):
            assert time.monotonic() < deadline, f"key add did not show {missing}, but\n{shown}"
            time.sleep(0.02)

    def let_join(self, words: list[str]) -> tuple[int, str]:
        """Type its code on the other PC, and here that it may join; return what the other one has printed."""
        shown = self._log.read_text(encoding="utf-8")
        [code] = re.findall(r"\d{3} \d{3}$", shown, re.MULTILINE)
        port = re.findall(r"key join \S+:(\d+)", shown)[0]
        with subprocess.Popen(
            [*words[:3], f"127.0.0.1:{port}", *words[3:]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        ) as joining:
            joining.stdin.write(f"{code}\n")
            joining.stdin.flush()
            while joining.poll() is None and "May it join" not in self._log.read_text(encoding="utf-8"):
                time.sleep(0.02)
            os.write(self._keyboard, b"\n")
            output, _ = joining.communicate(timeout=COMMAND_LIMIT)
        assert joining.returncode == 0, output
        self._process.wait(COMMAND_LIMIT)
        return joining.returncode, output.replace("screen shows: ", f"screen shows: {code}\n")

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._keyboard)
        self._log.unlink()


def find_missing(expected: Iterable[str], output: str) -> list[str]:
    """Return the documented lines that were not printed; numbers and line breaks do not count."""
    printed = blur(output)
    return [line for line in expected if line.strip() not in ("", "…") and blur(line) not in printed]


def blur(text: str) -> str:
    text = re.sub(r"\b[0-9a-f]{4}(?: [0-9a-f]{4}){3}\b", "0", text)  # the number of a key
    text = re.sub(r"[-+±]?\d+(?:[.:,-]\d+)*(?: (?:[kMGT]?B|µs|ms|s|min)\b)?", "0", text)
    return " ".join(text.split())


def install_here() -> str:
    """Do what ``pip install -e .`` does for a package of one module: make its entry points known."""
    project = (Path("pyproject.toml")).read_text(encoding="utf-8")
    name = re.search(r'^name = "(.+)"', project, re.MULTILINE).group(1)
    points = re.findall(r'^\[project\.entry-points\."(.+)"\]\n((?:\w+ = .*\n)+)', project, re.MULTILINE)
    folder = Path(f"{name.replace('-', '_')}-0.1.0.dist-info")
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n")
    (folder / "entry_points.txt").write_text(
        "".join(f"[{group}]\n{lines}".replace('"', "") for group, lines in points)
    )
    os.environ["PYTHONPATH"] = os.getcwd()
    sys.path.insert(0, os.getcwd())
    return ""


def run_page(name: str) -> None:
    """Run a page in the present folder, then print all files that are there."""
    runner = PageRunner()
    try:
        runner.run(read_blocks(name))
    finally:
        runner.close()
    for path in sorted(Path().rglob("*")):
        if path.is_file():
            print("FILE", path.as_posix())


def run_in_a_process(name: str, folder: Path) -> list[str]:
    """Run a page in a folder, with a home of its own, and return the files that it left."""
    home = folder / "home"
    home.mkdir()
    environment = {
        **os.environ,
        "HOME": str(home),
        "MULTIRIG_RIGS": str(home),
        "MULTIRIG_KEYS": str(home / "keys"),
        "COLUMNS": "120",
        "PYTHONIOENCODING": "utf-8",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
    }
    for variable in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "PYTHONPATH", "FORCE_COLOR"):
        environment.pop(variable, None)
    done = subprocess.run(
        [sys.executable, "-W", "error", __file__, name],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=LIMIT,
    )
    assert done.returncode == 0, done.stdout
    return re.findall(r"^FILE (.+)$", done.stdout, re.MULTILINE)


if __name__ == "__main__":
    run_page(sys.argv[1])


# -- what is run ---------------------------------------------------------------------------------------------


def needs_what_is_missing(name: str) -> bool:
    """Whether a page uses pynwb, or iblutil, which needs a newer Python than multirig, and it is not here."""
    text = "".join(block.text for block in read_blocks(name) if block.language == "python")
    return any(one in text and importlib.util.find_spec(one) is None for one in ("iblutil", "pynwb"))


RUNNABLE = [
    name
    for name in PAGES
    if any(block.is_run or (block.language == "python" and not block.title) for block in read_blocks(name))
    and not needs_what_is_missing(name)
]


@pytest.fixture(scope="module")
def runs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[list[str]]]]:
    """Run the pages that are asked for, two at a time: mostly they wait for a recording to go on."""
    users = [item for item in request.session.items if "runs" in getattr(item, "fixturenames", ())]
    asked = {item.callspec.params["name"] for item in users if hasattr(item, "callspec")}
    if any(not hasattr(item, "callspec") for item in users):
        asked |= {*TUTORIALS}
    with ThreadPoolExecutor(2) as pool:  # in the order of the tests: none waits for the page of another
        yield {
            name: pool.submit(run_in_a_process, name, tmp_path_factory.mktemp("page"))
            for name in PAGES
            if name in asked
        }


@pytest.mark.parametrize("name", RUNNABLE)
def test_a_page_does_what_it_says(
    name: str, runs: dict[str, Future[list[str]]], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if getattr(request.node, "execution_count", 1) > 1:  # it failed beside others, and is tried again
        run_in_a_process(name, tmp_path)
    else:
        runs[name].result()


def test_every_file_that_is_written_is_documented(runs: dict[str, Future[list[str]]]) -> None:
    patterns = list(documented_files())
    files = [path for name in TUTORIALS for path in runs[name].result()]
    written = [path for path in files if "/" in path and "__pycache__" not in path]
    assert len(written) > 20
    unknown = [path for path in written if not any(pattern.fullmatch(path) for pattern in patterns)]
    assert unknown == []
    unseen = [pattern.pattern for pattern in patterns if not any(map(pattern.fullmatch, written))]
    elsewhere = (
        "part",
        "fake",
        "pulses",
        "sqlite",
        "console",
        "arrivals",
        "nwb",
        "journals",
        r"program\.json",
        "programs",
        r"\.pid",
        r"\.end",
        "installed",
        "keepers",
        "transfers",
        "_devices",
        "ssv",
        r"pc\.json",
        r"lab\-",
        "labkey",
        "register",
        "keys",
        "collect",
        "recording/",
        "destination",
        "descriptions",
        "earlier",
    )
    assert [one for one in unseen if not any(word in one for word in elsewhere)] == []


def documented_files() -> Iterator[re.Pattern[str]]:
    for cell in re.findall(r"^\| `([^`]+)` \| ", PAGES["docs/reference/files.md"].read_text(), re.MULTILINE):
        if "." in cell:
            text = re.sub(r"<\w+>", "[^/]+", re.escape(cell).replace(r"\*", "[^/]*"))
            yield re.compile(f"(.*/)?{text}")


def test_every_kind_of_journal_line_is_documented() -> None:
    from multirig.record import entries, lines

    rows = re.findall(r"^\| `([A-Z]\w+)` \|", PAGES["docs/reference/files.md"].read_text(), re.MULTILINE)
    assert sorted(rows) == sorted([entries.BEGINNING, entries.RECOVERY, *entries._INPUTS, *lines.LINES])


# -- what is loaded ------------------------------------------------------------------------------------------


@blocks_of("yaml")
def test_a_configuration_loads(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from multirig.conductor.roster import Roster
    from multirig.config import ConductorConfig, RigConfig, load_conductor_config, load_rig_config
    from multirig.export.metadata import Metadata, read_metadata
    from multirig.rig.loading import build_adapter

    content = yaml.safe_load(block.text)
    path = tmp_path / "file.yaml"
    if content.keys() <= ConductorConfig.model_fields.keys():
        (tmp_path / "multirig.yaml").write_text(block.text, encoding="utf-8")
        monkeypatch.setattr("multirig.config.conductor.config_folder", lambda: tmp_path)  # the user's own
        assert load_conductor_config(path) != ConductorConfig()
        return
    if content.keys() <= Metadata.model_fields.keys():
        path.write_text(block.text, encoding="utf-8")
        assert read_metadata(path) != Metadata()
        return
    if not content.keys() <= RigConfig.model_fields.keys():
        path.write_text(block.text, encoding="utf-8")
        assert list(Roster.load(path).entries) == list(content)
        return
    # a part of a configuration is shown in place of a whole one
    rest = {"name": "rig", "data_folder": "./data", "adapter": {"type": "fake"}}
    rest = {key: value for key, value in rest.items() if key not in content}
    path.write_text((yaml.safe_dump(rest) if rest else "") + block.text, encoding="utf-8")
    config = load_rig_config(path)
    if config.adapter.type in BUILT_IN:
        build_adapter(config.adapter, config.name)
    else:
        assert any("pip install" in each.text for each in read_blocks(block.page))


@blocks_of("toml")
def test_toml_is_toml(block: Block) -> None:
    pytest.importorskip("tomllib").loads(block.text)


@blocks_of("python")
def test_python_compiles_and_fits_on_a_page(block: Block) -> None:
    ast.parse(block.text)
    assert max(map(len, block.text.splitlines())) <= 120


def test_each_block_says_what_it_is() -> None:
    known = {"console", "mermaid", "powershell", "python", "sh", "text", "toml", "yaml"}
    assert {block.where: block.language for block in BLOCKS if block.language not in known} == {}
    assert {block.language for block in BLOCKS} == known
    assert all(block.text for block in BLOCKS)


# -- what is typed -------------------------------------------------------------------------------------------

TYPED = [
    (block, command)
    for block in BLOCKS
    if block.language in ("console", "sh", "powershell")
    for command, _ in read_commands(block)
]


@pytest.mark.parametrize(("block", "command"), TYPED, ids=[f"{one.where}-{text[:30]}" for one, text in TYPED])
def test_a_command_line_is_possible(block: Block, command: str) -> None:
    words = shlex.split(command.replace("\\", "/"), comments=True)
    match words:
        case [program, *arguments] if Path(program).name in ("multirig", "multirig.exe"):
            parse_command_line(arguments)
        case ["make", target, *_]:
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
        case ["pip", "install", *what] | ["uv", "tool", "install" | "upgrade", *what]:
            extras = [
                one for found in re.findall(r"\[([\w,]+)\]", " ".join(what)) for one in found.split(",")
            ]
            assert all(f"\n{extra} = [" in (ROOT / "pyproject.toml").read_text() for extra in extras if extra)
        case _:
            assert block.language == "powershell" or "multirig" not in words


def parse_command_line(arguments: list[str]) -> None:
    import typer

    from multirig.cli.main import load_commands, spread

    command: Any = typer.main.get_command(load_commands())
    rest = spread(arguments)
    if rest == ["--version"]:
        return
    while True:
        if getattr(command, "commands", None):
            if not rest:
                return
            assert rest[0] in command.commands, f"{rest[0]} is not a command"
            command, rest = command.commands[rest[0]], rest[1:]
        else:
            command.make_context(command.name, list(rest))
            return


@pytest.mark.parametrize(
    "words", ["run --subject", "run --subject S --colour red", "rigs ad x y", "serve", "rigs add one"]
)
def test_an_impossible_command_line_is_noticed(words: str) -> None:
    with pytest.raises(Exception, match=r"(?i)option|command|argument|parameter"):
        parse_command_line(words.split())


def test_output_that_differs_in_more_than_numbers_is_noticed() -> None:
    printed = "✓ start  3 rigs in 104 ms\nleft  raw_video_data/\n   1.1 MB   +0.5 s\n"
    assert find_missing(["✓ start 2 rigs in 1.5 s", "…", "", "left raw_video_data/ 7 kB"], printed) == []
    assert find_missing(["✓ stop 3 rigs in 104 ms"], printed) == ["✓ stop 3 rigs in 104 ms"]


# -- what is said --------------------------------------------------------------------------------------------


def find_templates() -> Iterator[str]:
    """Yield each text in the source, with ``…`` where a value is put in."""
    for path in sorted((ROOT / "src" / "multirig").rglob("*.py")):
        parts: set[int] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts |= {id(value) for value in node.values}
                yield "".join(
                    str(each.value) if isinstance(each, ast.Constant) else "…" for each in node.values
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
                yield node.value


TROUBLES = re.findall(
    r"^\* `(.+?)`(?=:|$|\n)",
    re.sub(r"\n +", " ", PAGES["docs/how-to/when-something-goes-wrong.md"].read_text(encoding="utf-8")),
    re.MULTILINE,
)


def test_each_message_of_the_troubles_page_exists() -> None:
    templates = list(find_templates())
    assert len(TROUBLES) > 50
    assert [message for message in TROUBLES if not any(message in one for one in templates)] == []


def test_every_test_that_the_reliability_page_names_exists() -> None:
    named = re.findall(
        r"`(tests/[^`]+\.py)`", PAGES["docs/explanations/reliability.md"].read_text(encoding="utf-8")
    )
    assert len(set(named)) > 8
    assert [one for one in named if not (ROOT / one).is_file()] == []


def find_numbers() -> Iterator[tuple[str, str]]:
    """Yield sentences of pages with the numbers that the code has."""
    from multirig.conductor.roster import MIN_POLL
    from multirig.lifecycle.session_events import Limits
    from multirig.lifecycle.watch import LOST_AFTER
    from multirig.protocol import link, outbox
    from multirig.protocol.events import SECOND
    from multirig.rig.adapters.process import Process

    conductor, process = Limits(), Process(command=["x"])
    wire = "docs/reference/wire-2.md"
    yield wire, f"after {outbox.FIRST_RETRY / SECOND:g} s, then after pauses that double up to"
    yield wire, f"double up to {outbox.EARLY_RETRY / SECOND:g} s"
    yield wire, f"acknowledged within {outbox.CONFIRM_LIMIT / SECOND:g} s is given up"
    yield wire, f"repeated every {outbox.LAST_RETRY / SECOND:g} s"
    yield wire, f"at the latest {link.RECEIPT_DELAY * 1000 / SECOND:g} ms after a reply"
    program = "docs/how-to/drive-a-program.md"
    yield program, f"`grace` seconds ({process.grace:g} if nothing is said)"
    rigs_file = "docs/reference/rigs-file.md"
    yield (
        rigs_file,
        f"{conductor.initialise / SECOND:g} s to get ready, {conductor.start / SECOND:g} s to start",
    )
    yield rigs_file, f"{conductor.stop / SECOND:g} s to stop, {conductor.cleanup / SECOND:g} s to clean up"
    yield rigs_file, f"heard of it for {LOST_AFTER / SECOND:g} s"
    yield rigs_file, f"Less than {MIN_POLL:g} s is refused"
    yield (
        "docs/how-to/when-something-goes-wrong.md",
        f"{conductor.initialise / SECOND:g} s to get ready, {conductor.start / SECOND:g} s to start",
    )


def find_numbers_of_time() -> Iterator[str]:
    """Yield sentences of the page about time with the numbers that the code has."""
    from multirig.conductor.clocks import EVERY
    from multirig.lifecycle.clock_gate import ClockGate
    from multirig.lifecycle.session_events import Limits
    from multirig.protocol import clock
    from multirig.protocol.events import SECOND
    from multirig.transports.probe import BURST

    assert BURST == 10
    yield "bursts of ten small probes"
    yield f"every {EVERY:g} s as long as a session goes on"
    yield f"{Limits().lead / SECOND:g} s ahead plus two round trips"
    drift = clock.MAX_DRIFT * 1e6
    yield f"more than {drift / 2:g} ppm, so no two differ by more than {drift:g} ppm"
    yield f"at most {clock.WANDER * 60 * SECOND * 1e6:g} ppm in a minute"
    yield f"narrower than {clock.FLOOR / 1000:g} µs"
    yield f"less than {clock.SMALLEST_STEP / 1e6:g} ms is told as no jump"
    yield f"is its bound at most {ClockGate().max_bound / 1e6:g} ms"


def test_numbers_in_sentences_are_those_of_the_code() -> None:
    numbers = [*find_numbers(), *(("docs/explanations/time.md", said) for said in find_numbers_of_time())]
    missing = [(name, said) for name, said in numbers if said not in " ".join(read_prose(name).split())]
    assert missing == []


# -- the pages themselves ------------------------------------------------------------------------------------


def make_anchors(name: str) -> set[str]:
    content = PAGES[name].read_text(encoding="utf-8")
    anchors = set(re.findall(r"<a id=['\"]([^'\"]+)", content))
    for heading in re.findall(r"^#+ (.+)$", content, re.MULTILINE):
        anchors.add(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-"))
    return anchors


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    page = PAGES[name]
    for target in re.findall(r"\]\(([^)\s]+)\)", read_prose(name)):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{name} leads to {target}"
        if anchor:
            linked = found.relative_to(ROOT).as_posix()
            assert anchor in make_anchors(linked), (
                f"{name} leads to {target}; there is {make_anchors(linked)}"
            )


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_fit_to_be_read(name: str) -> None:
    content = PAGES[name].read_text(encoding="utf-8")
    unfit = r"TODO|FIXME|/home/\w|/tmp/|C:\\Users"
    assert re.findall(unfit, content) == []
    assert content.startswith("# ")
    assert content.endswith("\n")
    assert not content.endswith("\n\n")


def test_the_index_names_every_page() -> None:
    index = PAGES["docs/README.md"].read_text(encoding="utf-8")
    pages = {path.relative_to(DOCS).as_posix() for path in PAGES.values() if path.is_relative_to(DOCS)}
    pages = {one for one in pages if not one.startswith("explanations/decisions/")} - {"README.md"}
    assert sorted(one for one in pages if f"]({one})" not in index) == []


def test_what_is_generated_is_not_stale() -> None:
    done = subprocess.run(
        [sys.executable, str(DOCS / "generate.py"), "--check"], capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_stale_part_is_noticed(tmp_path: Path) -> None:
    shutil.copytree(DOCS, tmp_path / "docs")
    measured = tmp_path / "tests" / "truth" / "measured.json"
    measured.parent.mkdir(parents=True)
    shutil.copy(ROOT / "tests" / "truth" / "measured.json", measured)
    page = tmp_path / "docs" / "reference" / "states.md"
    page.write_text(page.read_text(encoding="utf-8").replace("`broken`", "`mended`", 1), encoding="utf-8")
    schema = tmp_path / "docs" / "reference" / "rig-config.schema.json"
    schema.write_text(
        schema.read_text(encoding="utf-8").replace('"lab"', '"laboratory"', 1), encoding="utf-8"
    )
    script = tmp_path / "docs" / "generate.py"
    check = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, encoding="utf-8")
    assert check.returncode == 1
    assert "reference/states.md is stale" in check.stdout
    assert "rig-config.schema.json is stale" in check.stdout
    assert subprocess.run([sys.executable, str(script)], capture_output=True).returncode == 0
    assert page.read_bytes() == (DOCS / "reference" / "states.md").read_bytes()


IBL_CLASSES = ("ExpMessage", "ExpStatus", "Service", "Communicator", "ExpInfo")


def members_of_ibls_interface() -> Iterator[tuple[str, str]]:
    """Yield (home, name) of everything public in IBL's interface."""
    import inspect

    from multirig.ibl import (
        alyx,
        auxiliaries,
        base_session,
        description,
        network_mixin,
        remote_services,
        task_arguments,
    )
    from multirig.ibl.net import app, base, rigs

    for cls in (
        network_mixin.NetworkMixin,
        auxiliaries.Auxiliaries,
        remote_services.RemoteServices,
        base_session.BaseSession,
        base.Communicator,
        app.EchoProtocol,
        app.Services,
    ):
        yield from ((cls.__name__, name) for name in vars(cls) if not name.startswith("_"))
    for module in (base, rigs, alyx, description, task_arguments):
        for name, member in vars(module).items():
            is_public = not name.startswith("_") and getattr(member, "__module__", None) == module.__name__
            if is_public and (inspect.isfunction(member) or name in IBL_CLASSES):
                yield module.__name__, name


def test_every_member_of_ibls_interface_is_in_the_reference() -> None:
    page = PAGES["docs/reference/ibl.md"].read_text(encoding="utf-8")
    missing = [
        (home, name) for home, name in members_of_ibls_interface() if not re.search(rf"\b{name}\b", page)
    ]
    assert missing == []


def test_every_member_of_ibls_interface_has_an_example_or_a_sentence() -> None:
    """A table alone is none; what an example cannot call (the internet, a keyboard) has its sentence."""
    page = PAGES["docs/reference/ibl.md"].read_text(encoding="utf-8")
    text = re.sub(r"<!-- generated: .*?<!-- end of .*? -->", "", page, flags=re.DOTALL)
    missing = [
        (home, name) for home, name in members_of_ibls_interface() if not re.search(rf"\b{name}\b", text)
    ]
    assert missing == []
