"""The structure of multirig's own code, and the checks of it on small examples that break each rule."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
from tests.unit.house import MAX_IMPORTS, MAX_METHODS, House, read_package

import multirig

# -- exceptions --------------------------------------------------------------------------------------------

IBLUTIL = {
    "Service": "alyx cleanup info init start status stop",
    "Communicator": "__init__ assign_callback clear_callbacks close decode encode hostname is_connected "
    "on_event port protocol send",
    "EchoProtocol": "awaiting_response client confirmed_send role server",
}
"""What classes of ``iblutil.io.net`` are asked for by name: by class, with what it adds to its bases."""
IBLRIG = {
    "BaseSession": "__init__ _execute_mixins_shared_function _init_paths _make_task_parameters_dict _run "
    "create_session extra_parser get_task_directory get_task_file make_experiment_description_dict mock one "
    "read_task_parameter_files register_to_alyx run save_task_parameters_to_json_file start_hardware "
    "time_elapsed",
    "NetworkMixin": "__init__ _init_paths _make_task_parameters_dict cleanup_mixin_network communicate "
    "connect extra_parser get_exp_info init_mixin_network one run start_mixin_network stop_mixin_network",
}
"""The same of ``iblrig.base_tasks``; the mixin is its ``NetworkSession``."""
HOMES = {
    "Service": "multirig.ibl.net.base",
    "Communicator": "multirig.ibl.net.base",
    "EchoProtocol": "multirig.ibl.net.echo",
    "BaseSession": "multirig.ibl.base_session",
    "NetworkMixin": "multirig.ibl.network_mixin",
}
BY_NAME = {f"{HOMES[name]}.{name}": set(members.split()) for name, members in (IBLUTIL | IBLRIG).items()}
LEFT_AS_IT_IS = {
    # wire 1.0 is that ugly: parted, there would be as many cases, further from each other
    "multirig.protocol.echo.EchoLink",
}
STILL_TO_MEND = {
    "classes": set(),
    "modules": set(),
    "machines": {
        "multirig.sim.world: machine.handle = handle_overheard",
        "multirig.sim.world: machine.handle_timer = lambda now: show(ring(now))",
    },
}
"""What breaks a rule today; whoever mends one strikes it off, and nothing is added."""

# -- the house ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def house() -> House:
    return House(read_package(Path(multirig.__file__).parent, "multirig"))


def test_no_class_has_too_many_methods(house: House) -> None:
    crowded = house.crowded_classes(excused=BY_NAME).keys() - LEFT_AS_IT_IS
    assert crowded == STILL_TO_MEND["classes"]


def test_no_module_has_too_many_imports(house: House) -> None:
    assert house.crowded_modules().keys() == STILL_TO_MEND["modules"]


def test_no_modules_import_each_other_in_a_circle(house: House) -> None:
    assert house.circles() == []


def test_machines_are_changed_through_their_door_only(house: House) -> None:
    opened = {place for place in house.opened_machines() if not place.startswith("multirig.lifecycle.")}
    assert opened == STILL_TO_MEND["machines"]


def test_what_is_left_as_it_is_would_break_the_rule(house: House) -> None:
    assert house.crowded_classes(excused=BY_NAME).keys() >= LEFT_AS_IT_IS


@pytest.mark.parametrize("name", BY_NAME)
def test_what_ibl_asks_for_by_name_is_really_there(house: House, name: str) -> None:
    assert BY_NAME[name] <= house.methods(name)


@pytest.mark.skipif(importlib.util.find_spec("iblutil") is None, reason="iblutil is not installed here")
@pytest.mark.parametrize("name", IBLUTIL)
def test_iblutil_itself_has_what_it_is_said_to_ask_for(name: str) -> None:
    app, base = (importlib.import_module(f"iblutil.io.net.{module}") for module in ("app", "base"))
    theirs = getattr(app, name, None) or getattr(base, name)
    ours = inspect.getmro(theirs)
    members = {member for cls in ours if cls.__module__.startswith("iblutil") for member in vars(cls)}
    assert set(IBLUTIL[name].split()) <= members | {"__init__"}


# -- the checks see what they are made for -----------------------------------------------------------------


def methods(*names: str) -> str:
    return "\n".join(f"    def {name}(self): ..." for name in names)


CHILD = f"class Child(Base):\n{methods('c', 'a')}"
BASE = f"class Base:\n{methods('a', 'b')}\n    async def d(self): ..."


@pytest.mark.parametrize(
    "sources",
    [
        {"p.m": f"{BASE}\n{CHILD}"},
        {"p.base": BASE, "p.m": f"from p.base import Base\n{CHILD}"},
        {"p.base": BASE, "p.m": f"import p.base as below\n{CHILD.replace('Base', 'below.Base')}"},
        {"p.base": BASE, "p.m": f"import p.base\n{CHILD.replace('Base', 'p.base.Base')}"},
        {"p": "from p.base import Base", "p.base": BASE, "p.m": f"from p import Base\n{CHILD}"},
        {"p.m": f"from typing import Generic, T\n{BASE.replace(':', '(Generic[T]):', 1)}\n"
         + CHILD.replace("Base", "Base[int]")},
        {"p.m": f"class Mid(Base): ...\n{BASE}\n{CHILD.replace('Base', 'Mid')}"},
    ],
)  # fmt: skip
def test_methods_of_our_own_bases_count_once(sources: dict[str, str]) -> None:
    crowded = House(sources).crowded_classes(excused={}, limit=3)
    assert crowded == {"p.m.Child": {"a", "b", "c", "d"}}


def test_methods_of_strangers_bases_do_not_count() -> None:
    house = House({"p.m": f"from enum import Enum\n{CHILD.replace('Base', 'Enum')}"})
    assert house.methods("p.m.Child") == {"a", "c"}


def test_a_class_within_another_counts_for_itself() -> None:
    house = House({"p.m": f"class Out:\n{methods('a')}\n    class In:\n        def b(self): ..."})
    assert (house.methods("p.m.Out"), house.methods("p.m.Out.In")) == ({"a"}, {"b"})


def test_what_a_base_is_excused_its_children_are_too() -> None:
    house = House({"p.m": f"{BASE}\n{CHILD}"})
    assert house.crowded_classes(excused={"p.m.Base": {"a", "b"}}, limit=2) == {}
    assert house.crowded_classes(excused={"p.m.Child": {"a"}}, limit=2).keys() == {"p.m.Base", "p.m.Child"}


def test_one_method_and_one_import_too_many_are_seen() -> None:
    names = [f"m{number}" for number in range(MAX_METHODS + 1)]
    crowded = f"class A:\n{methods(*names)}\nclass B:\n{methods(*names[1:])}"
    assert House({"p.m": crowded}).crowded_classes(excused={}).keys() == {"p.m.A"}
    lines = ["def f():", "    import late", "if TYPE_CHECKING:", "    from x import y"]
    lines += [f"import m{number}" for number in range(MAX_IMPORTS - 1)]
    house = House({"p.m": "\n".join(lines), "p.n": "\n".join(lines[:-1])})
    assert house.crowded_modules() == {"p.m": MAX_IMPORTS + 1}


@pytest.mark.parametrize(
    ("sources", "circles"),
    [
        ({"p.a": "from p.b import x", "p.b": "from p.a import y"}, [{"p.a", "p.b"}]),
        ({"p.a": "from p import b", "p.b": "import p.a"}, [{"p.a", "p.b"}]),
        ({"p.a": "from p.b import x", "p.b": "def f():\n    from p.a import y"}, [{"p.a", "p.b"}]),
        ({"p.a": "import p.b", "p.b": "import p.c", "p.c": "import p.a"}, [{"p.a", "p.b", "p.c"}]),
        ({"p.q": "from p.q.a import x", "p.q.a": "from p.q import y"}, [{"p.q", "p.q.a"}]),
        ({"p.a": "import p.b", "p.b": "import p.a", "p.c": "import p.d", "p.d": "import p.c"},
         [{"p.a", "p.b"}, {"p.c", "p.d"}]),
        ({"p.a": "from p.a import x"}, [{"p.a"}]),
        ({"p.a": "if TYPE_CHECKING:\n    from p.b import x", "p.b": "import p.a"}, []),
        ({"p.a": "import p.c", "p.b": "import p.a, p.c", "p.c": "import os"}, []),
        ({"p.q": "from p.q.a import x", "p.q.a": "from p.q.b import y", "p.q.b": ""}, []),
    ],
)  # fmt: skip
def test_circles_are_seen_and_nothing_else(sources: dict[str, str], circles: list[set[str]]) -> None:
    assert House(sources).circles() == circles


@pytest.mark.parametrize(
    "statement",
    [
        "self.machine.alyx = 1",
        "machine.state = 2",
        "self._machine.state = 2",
        "node.machine.count += 1",
        "machine.watch.rigs['a'] = 3",
        "[a, machine.b] = (1, 2)",
        "machine.a: int = 1",
        "del machine.rigs['a']",
        "setattr(self.machine, name, 1)",
    ],
)
def test_a_machine_that_is_changed_past_its_door_is_seen(statement: str) -> None:
    assert House({"p.m": f"def f():\n    {statement}"}).opened_machines() == {f"p.m: {statement}"}


@pytest.mark.parametrize(
    "statement",
    [
        "self.machine = make()",
        "machine = self.machine",
        "found = machine.handle(event, now)",
        "a.b = machine.c",
    ],
)
def test_a_machine_that_is_held_or_asked_is_not_changed(statement: str) -> None:
    assert House({"p.m": statement}).opened_machines() == set()


# -- what ruff is asked to overlook ------------------------------------------------------------------------

SIZES = ("C901", "PLR0913", "FBT001")


@pytest.mark.skipif(importlib.util.find_spec("ruff") is None, reason="ruff is not installed here")
def test_no_file_keeps_an_exception_that_it_needs_no_longer() -> None:
    tomllib = pytest.importorskip("tomllib", reason="new in Python 3.11")
    root = Path(__file__).parents[2]
    lint = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]["lint"]
    limits = {
        "mccabe.max-complexity": lint["mccabe"]["max-complexity"],
        "pylint.max-args": lint["pylint"]["max-args"],
    }
    options = [f"--config=lint.{key}={value}" for key, value in limits.items()]
    command = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--isolated",
        "--no-cache",
        f"--select={','.join(SIZES)}",
    ]
    done = subprocess.run(
        [*command, *options, "--output-format=json", "src", "tests"], cwd=root, capture_output=True, text=True
    )
    found = {
        (Path(each["filename"]).relative_to(root).as_posix(), each["code"])
        for each in json.loads(done.stdout)
    }
    unneeded = {
        (pattern, code)
        for pattern, codes in lint["per-file-ignores"].items()
        for code in codes
        if code in SIZES and not any(each == code and fnmatch(file, pattern) for file, each in found)
    }
    assert unneeded == set()
