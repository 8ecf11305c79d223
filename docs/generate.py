"""Write the parts of the documentation that the code knows best.

``python docs/generate.py`` rewrites them; with ``--check`` it changes nothing and fails if one is stale.
In a page, a generated part stands between ``<!-- generated: NAME -->`` and ``<!-- end of NAME -->``.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import dataclasses
import datetime
import importlib
import inspect
import io
import itertools
import json
import os
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from seal_vectors import make_seal_vectors

DOCS = Path(__file__).resolve().parent
PRINTED_BY = "<!-- printed by .* -->"
"""What the help looks like is up to the releases of typer and rich, which this line names."""
WIDTH = 100
"""Characters of a line of help: what fits beside a page's navigation."""
TRUTH_KEYS = ("bad", "false GOOD", "honest", "false alarms")
"""What is counted of the sessions of the truth suite."""
PART = re.compile(r"(<!-- generated: (\S+) -->\n).*?(<!-- end of \2 -->)", re.DOTALL)


def main() -> int:
    """Run the script; return its exit code."""
    parser = argparse.ArgumentParser(description="Write the generated parts of the documentation.")
    parser.add_argument("--check", action="store_true", help="change nothing, fail if a part is stale")
    only_check = parser.parse_args().check
    stale = []
    for path, text in build_pages():
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        if only_check and say_the_same(path, before, text):
            continue
        if before != text:
            stale.append(path.relative_to(DOCS).as_posix())
            if not only_check:
                path.write_text(text, encoding="utf-8", newline="\n")
    for name in stale:
        print(f"{name} is stale: run python docs/generate.py" if only_check else f"wrote {name}")
    return 1 if only_check and stale else 0


def build_pages() -> Iterator[tuple[Path, str]]:
    """Yield each file that is generated, or holds a generated part, with the text that it should have."""
    for path in sorted(DOCS.rglob("*.md")):
        text = path.read_text(encoding="utf-8")
        if PART.search(text):
            yield path, PART.sub(lambda found: f"{found[1]}\n{PARTS[found[2]]().strip()}\n\n{found[3]}", text)
    for name, schema in SCHEMAS.items():
        yield DOCS / "reference" / name, json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
    yield DOCS / "reference" / "seal-vectors.json", json.dumps(make_seal_vectors(), indent=2) + "\n"


def say_the_same(path: Path, one: str, other: str) -> bool:
    """Whether two versions differ at most in how another release of typer, rich or pydantic writes."""
    if path.name == "cli.md" and re.findall(PRINTED_BY, one) != re.findall(PRINTED_BY, other):
        return get_help_words(one) == get_help_words(other)
    if path.suffix == ".json" and "vectors" not in path.name:
        return bool(one) and list(find_sayings(json.loads(one))) == list(find_sayings(json.loads(other)))
    return one == other


def get_help_words(text: str) -> set[str]:
    """Return the commands and the options in a help page."""
    return set(re.findall(r"(?<=## )multirig.*|--[\w-]+", text))


def find_sayings(schema: Any) -> Iterator[str]:
    """Yield the keys and the meanings in a JSON schema."""
    if isinstance(schema, dict):
        for key, value in sorted(schema.items()):
            if key == "properties":
                yield from sorted(value)
            if key == "description":
                yield str(value)
            yield from find_sayings(value)
    elif isinstance(schema, list):
        for each in schema:
            yield from find_sayings(each)


def table(headings: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a table in Markdown."""
    headings = list(headings)
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(cell(each) for each in line) + " |" for line in lines)


def cell(value: object) -> str:
    """Return a value as it may stand in a table."""
    return " ".join(str(value).replace("``", "`").split()).replace("|", "\\|")


def code(value: object) -> str:
    """Return a value as code, or nothing for nothing."""
    text = str(value)
    return f"`{text}`" if text else ""


# -- the command line ----------------------------------------------------------------------------------------


def show_commands() -> str:
    """Return the help of every command, as it is printed."""
    for name in ("FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS", "TTY_COMPATIBLE"):
        os.environ.pop(name, None)
    os.environ.update(TERMINAL_WIDTH=str(WIDTH), COLUMNS=str(WIDTH), NO_COLOR="1", TERM="dumb")
    from multirig.cli.main import run

    parts = [PRINTED_BY.replace(".*", f"typer {version('typer')} and rich {version('rich')}")]
    for words in [[], *walk_commands()]:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            run([*words, "--help"])
        lines = "\n".join(line.rstrip() for line in out.getvalue().strip("\n").splitlines()).strip("\n")
        parts.append(f"## multirig {' '.join(words)}".rstrip() + f"\n\n```text\n{lines}\n```")
    return "\n\n".join(parts)


def walk_commands() -> Iterator[list[str]]:
    """Yield the words of each command, a group before its members."""
    import typer

    from multirig.cli.main import load_commands

    def walk(command: Any, words: list[str]) -> Iterator[list[str]]:
        for name, each in getattr(command, "commands", {}).items():
            yield [*words, name]
            yield from walk(each, [*words, name])

    yield from walk(typer.main.get_command(load_commands()), [])


# -- the rig's configuration ---------------------------------------------------------------------------------

ADAPTERS = {"camera": "Camera", "process": "Process", "fake": "Fake"}


def load_adapter(name: str) -> type:
    """Return the class of a built-in adapter."""
    from importlib import import_module

    found: type = getattr(import_module(f"multirig.rig.adapters.{name}"), ADAPTERS[name])
    return found


def rig_config_schema() -> dict[str, Any]:
    """Return the JSON schema of a rig's configuration with the keys of the built-in adapters."""
    from multirig.config import rig_config_schema

    schema = rig_config_schema()
    choices = []
    for name, title in ADAPTERS.items():
        own = adapter_schema(name)
        schema["$defs"].update(own.pop("$defs", {}))
        own["properties"] = {"type": {"const": name}, **own["properties"]}
        schema["$defs"][title] = own
        is_chosen = {"properties": {"type": {"const": name}}, "required": ["type"]}
        choices.append({"if": is_chosen, "then": {"$ref": f"#/$defs/{title}"}})
    schema["$defs"]["AdapterConfig"]["allOf"] = choices
    return schema


def adapter_schema(name: str) -> dict[str, Any]:
    """Return the JSON schema of an adapter's keys, with what the source says of each."""
    from pydantic import TypeAdapter

    adapter = load_adapter(name)
    schema = TypeAdapter(adapter).json_schema()
    schema["description"] = inspect.getdoc(adapter).splitlines()[0]
    for field in dataclasses.fields(adapter):
        if field.name in schema["properties"]:
            described = schema["properties"][field.name]
            described.setdefault("description", attribute_docs(adapter).get(field.name, ""))
            if field.default_factory is not dataclasses.MISSING:
                described.setdefault("default", field.default_factory())
    for title, each in schema.get("$defs", {}).items():
        own = find_class(adapter, title)
        for key, meaning in (attribute_docs(own) if own is not None else {}).items():
            if key in each.get("properties", {}):
                each["properties"][key].setdefault("description", meaning)
    return schema


def find_class(adapter: type, name: str) -> type | None:
    """Return a class that an adapter's module knows by name; what it does not know is described already."""
    return getattr(inspect.getmodule(adapter), name, None)


def attribute_docs(cls: type) -> dict[str, str]:
    """Return the text that stands under each field in the source of a class and of those it comes from."""
    docs: dict[str, str] = {}
    for each in reversed(cls.__mro__):
        if not each.__module__.startswith("multirig"):
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(each))).body[0].body
        for field, text in itertools.pairwise(body):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(text, ast.Expr)
                and isinstance(text.value, ast.Constant)
            ):
                docs[field.target.id] = inspect.cleandoc(text.value.value)
    return docs


def show_rig_keys() -> str:
    """Return the table of a rig's keys."""
    from multirig.config import rig_config_schema
    from multirig.config.rig import Ibl

    schema = rig_config_schema()
    defs = schema["$defs"]
    return "\n\n".join(
        [
            key_table(schema),
            "Under `limits`:",
            key_table({**defs["Limits"], "$defs": defs}),
            "Under `expect`, here and of a camera:",
            key_table({**defs["Expect"], "$defs": defs}),
            "Under `experiment_description`:",
            key_table({**defs["Description"], "$defs": defs}),
            "Under `ibl`:",
            key_table(Ibl.model_json_schema()),
        ]
    )


def show_rigs_file_keys() -> str:
    """Return the tables of what the rigs file may say of a rig."""
    from multirig.conductor.roster import RosterEntry

    schema = RosterEntry.model_json_schema()
    defs = schema["$defs"]
    return "\n\n".join(
        [
            key_table({**schema, "$defs": defs}),
            "Under `limits`:",
            key_table({**defs["StepLimits"], "$defs": defs}),
        ]
    )


def show_conductor_keys() -> str:
    """Return the tables of what the leading PC's file may say."""
    from multirig.config import conductor_config_schema

    schema = conductor_config_schema()
    defs = schema["$defs"]
    return "\n\n".join(
        [
            key_table(schema),
            "Under `clock`:",
            key_table({**defs["ClockRules"], "$defs": defs}),
            "Under `console`:",
            key_table({**defs["ConsoleRules"], "$defs": defs}),
            "Under `collect`:",
            key_table({**defs["CollectRules"], "$defs": defs}),
        ]
    )


def show_adapter_keys(name: str) -> str:
    """Return the tables of an adapter's keys."""
    schema = adapter_schema(name)
    parts = [key_table(schema)]
    for title, each in schema.get("$defs", {}).items():
        if title in _SHOWN_BELOW:
            continue
        parts += [f"<a id='{title.lower()}'></a>**{title}**: {cell(each['description'])}"]
        parts += [key_table({**each, "$defs": schema["$defs"]})]
    return "\n\n".join(parts)


def key_table(schema: Mapping[str, Any]) -> str:
    """Return the keys of an object: type, default, meaning."""
    required = schema.get("required", [])
    return table(
        ("key", "type", "default", "meaning"),
        (
            (
                code(key),
                describe_type(each),
                "**required**" if key in required else show_default(each),
                each.get("description", ""),
            )
            for key, each in schema["properties"].items()
        ),
    )


_WORDS = {"string": "text", "number": "number", "integer": "whole number", "boolean": "true or false"}


def describe_type(schema: Mapping[str, Any]) -> str:
    """Return what may stand there, in words."""
    from multirig.config.duration import DURATION_SCHEMA

    if len(schema.get("allOf", ())) == 1:  # how older releases of pydantic put a default beside a reference
        schema = schema["allOf"][0]
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})" if name not in _SHOWN_BELOW else "mapping"
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices == DURATION_SCHEMA["anyOf"]:
        return "[duration](rig-config.md#durations)"
    if choices:
        return " or ".join(
            dict.fromkeys(describe_type(each) for each in choices if each.get("type") != "null")
        )
    if "enum" in schema or "const" in schema:
        return ", ".join(code(each) for each in schema.get("enum", [schema.get("const")]))
    kind = schema.get("type")
    if isinstance(kind, list):
        return " or ".join(describe_type({**schema, "type": one}) for one in kind)
    if kind == "array":
        if "prefixItems" in schema:
            return f"list of {len(schema['prefixItems'])}: {describe_type(schema['prefixItems'][0])}"
        return f"list of {describe_type(schema['items'])}" if "items" in schema else "list"
    if kind == "object":
        values = schema.get("additionalProperties", {"type": "string"})
        return "mapping" if isinstance(values, bool) else f"mapping to {describe_type(values)}"
    if schema.get("format") == "path":
        return "path"
    if schema.get("format") == "regex":
        return "regular expression"
    return _WORDS.get(str(kind), "any") + describe_limits(schema)


_SHOWN_BELOW = (
    "Limits",
    "Expect",
    "StepLimits",
    "Description",
    "AdapterConfig",
    "ClockRules",
    "ConsoleRules",
    "CollectRules",
)
"""What a table of its own shows; the others have one with an anchor."""


def describe_limits(schema: Mapping[str, Any]) -> str:
    """Return the bounds of a number in brackets."""
    least, above, most = schema.get("minimum"), schema.get("exclusiveMinimum"), schema.get("maximum")
    bounds = [
        f"{sign} {bound:g}" for sign, bound in (("≥", least), (">", above), ("≤", most)) if bound is not None
    ]
    return f" ({', '.join(bounds)})" if bounds else ""


def show_default(schema: Mapping[str, Any]) -> str:
    """Return a default as one would write it in YAML."""
    default = schema.get("default", {} if schema.get("type") == "object" else None)
    if default is None:
        return "none"
    if isinstance(default, dict) and default:
        return "see below"
    return code(json.dumps(default) if not isinstance(default, str) else default)


# -- the verdict ---------------------------------------------------------------------------------------------


def show_words() -> str:
    """Return the table of verdicts."""
    from multirig.record.verdict import MEANING

    return table(("word", "meaning"), ((code(word), meaning) for word, meaning in MEANING.items()))


def show_rules() -> str:
    """Return the table of what is looked for."""
    from multirig.record.verdict import RULES, Word

    rows = ((code(rule.word) if rule.word is not Word.GOOD else "note", rule.when) for rule in RULES)
    return table(("word", "when"), rows)


def verdict_schema() -> dict[str, Any]:
    """Return the JSON schema of a verdict."""
    from multirig.record import account, summary

    return describe_fields(account.verdict_schema(), account.Account, summary)


def manifest_schema() -> dict[str, Any]:
    """Return the JSON schema of a manifest."""
    from multirig.record import manifest

    return describe_fields(manifest.manifest_schema(), manifest.Manifest, manifest)


def receipt_schema() -> dict[str, Any]:
    """Return the JSON schema of a receipt."""
    from multirig.collect import receipts

    return describe_fields(receipts.receipt_schema(), receipts.Receipt, receipts)


def describe_fields(schema: dict[str, Any], cls: type, module: Any) -> dict[str, Any]:
    """Return a schema with what the source says of each field."""
    homes = [module, inspect.getmodule(cls)]
    for title, each in {cls.__name__: schema, **schema.get("$defs", {})}.items():
        found = next((getattr(home, title) for home in homes if hasattr(home, title)), None)
        if found is None or not dataclasses.is_dataclass(found):
            continue
        each["description"] = inspect.getdoc(found).splitlines()[0]
        for key, meaning in attribute_docs(found).items():
            if key in each.get("properties", {}):
                each["properties"][key]["description"] = meaning
                if key == "version":  # which one wrote it is no part of the schema
                    each["properties"][key].pop("default", None)
    return schema


# -- states --------------------------------------------------------------------------------------------------


def show_rig_states() -> str:
    """Return the rig's diagram and table."""
    from multirig.lifecycle.rig_states import MOVING, RIG_TABLE, STATUS, RigState

    diagram = draw(RigState, ((state, trigger, to.to) for (state, trigger), to in RIG_TABLE.items()))
    states = table(
        ("state", "status on the wire", "hooks running"),
        (
            (code(state), f"{STATUS[state].name} {int(STATUS[state])}", "yes" if state in MOVING else "")
            for state in RigState
        ),
    )
    steps = table(
        ("in state", "when", "goes to", "hooks of the adapter"),
        (
            (
                code(state),
                trigger,
                code(to.to),
                ", ".join(map(code, to.hooks)) + (" at once" if to.preempts else ""),
            )
            for (state, trigger), to in RIG_TABLE.items()
        ),
    )
    return f"{diagram}\n\n{states}\n\n{steps}"


def show_session_states() -> str:
    """Return the session's diagram and table."""
    from multirig.lifecycle.session_states import EVENT_OF, SESSION_TABLE, SessionState

    diagram = draw(SessionState, ((state, trigger, to) for (state, trigger), to in SESSION_TABLE.items()))
    sent = table(
        ("on entering", "every rig is sent"),
        ((code(state), code(event.name)) for state, event in EVENT_OF.items()),
    )
    steps = table(
        ("in state", "when", "goes to"),
        ((code(state), trigger, code(to)) for (state, trigger), to in SESSION_TABLE.items()),
    )
    return f"{diagram}\n\n{sent}\n\n{steps}"


def draw(states: Iterable[Any], steps: Iterable[tuple[Any, Any, Any]]) -> str:
    """Return a Mermaid diagram: one arrow between two states, with all that leads that way."""
    states = list(states)
    arrows: dict[tuple[str, str], list[str]] = {}
    for state, trigger, to in steps:
        if state is not to:
            arrows.setdefault((state.name, to.name), []).append(str(trigger))
    lines = ["stateDiagram-v2"]
    lines += [f'    state "{state}" as {state.name}' for state in states]
    lines += [f"    [*] --> {states[0].name}"]
    lines += [f"    {source} --> {target}: {' / '.join(why)}" for (source, target), why in arrows.items()]
    return "```mermaid\n" + "\n".join(lines) + "\n```"


# -- wire 2 --------------------------------------------------------------------------------------------------


def show_frame_keys() -> str:
    """Return the table of a frame's keys."""
    from multirig.protocol.frames import schema

    needs = schema.get("dependentRequired", {})
    return table(
        ("key", "type", "present", "meaning"),
        (
            (
                code(key),
                describe_type(each),
                "always" if key in schema["required"] else describe_presence(key, needs),
                each["description"],
            )
            for key, each in schema["properties"].items()
        ),
    )


def show_wire_words() -> str:
    """Return what each word says, field by field, as its class has it."""
    from multirig.protocol import holdings, words

    parts = []
    found = {**dict(inspect.getmembers(words)), **dict(inspect.getmembers(holdings))}
    for name, cls in sorted(found.items()):
        if (
            not inspect.isclass(cls)
            or cls.__module__ not in (words.__name__, holdings.__name__)
            or not dataclasses.is_dataclass(cls)
            or name in ("Verbatim", "Invalid")
        ):
            continue
        is_word = issubclass(cls, words.Word)
        event = (
            f" ({cls.event.name})" if is_word and isinstance(getattr(cls, "event", None), words.Event) else ""
        )
        docs = attribute_docs(cls)
        rows = [
            (
                code(field.name),
                code(str(field.type).replace("Mapping[str, Any]", "mapping")),
                docs.get(field.name, ""),
            )
            for field in dataclasses.fields(cls)
        ]
        head = f"**{name}**{event}: {cell(inspect.getdoc(cls).splitlines()[0])}"
        parts.append((is_word, head + (f"\n\n{table(('field', 'type', 'meaning'), rows)}" if rows else "")))
    own = "\n\n".join(text for is_word, text in parts if is_word)
    return (
        own + "\n\nWhat they are made of:\n\n" + "\n\n".join(text for is_word, text in parts if not is_word)
    )


def describe_presence(key: str, needs: Mapping[str, list[str]]) -> str:
    """Return when a key is there."""
    wanted_by = [each for each, others in needs.items() if key in others]
    return f"with {', '.join(map(code, wanted_by))}" if wanted_by else "as needed"


def show_conversation() -> str:
    """Return what a conductor and a rig say to each other, byte by byte, up to the first command."""
    from multirig.lifecycle.rig import RigMachine
    from multirig.lifecycle.rig_events import Describe, Described, Done
    from multirig.lifecycle.session import SessionMachine
    from multirig.lifecycle.session_events import AgreeRequested, RigsChosen, StepRequested
    from multirig.lifecycle.session_states import SessionTrigger
    from multirig.protocol.dialect import hear_leader, hear_rig
    from multirig.protocol.events import Address, Call
    from multirig.protocol.exp_ref import ExpRef
    from multirig.protocol.node import Node
    from multirig.protocol.words import AskInfo, Info

    there, here = Address("udp", "192.168.1.20", 11001), Address("udp", "192.168.1.10", 50123)
    conductor = Node(boot="c0ffee00c0ffee00", name="behaviour-pc", machine=SessionMachine(), hears=hear_rig)
    rules = RigMachine(name="cameras", main_sync=True)
    rig = Node(boot="5eed00005eed0000", name="cameras", machine=rules, hears=hear_leader)
    said: list[tuple[str, str, bytes]] = []
    clocks = {"conductor": 1_000_000_000, "rig": 8_000_000_000}
    pending: list[Any] = []

    def exchange(title: str) -> None:
        """Let both talk until they are quiet; a datagram takes 200 µs."""
        heading = title
        for _ in range(20):
            for name, node, other, sender in (
                ("conductor", conductor, rig, here),
                ("rig", rig, conductor, there),
            ):
                while (effect := node.next_event()) is not None:
                    pending.append(effect)
                for _, data in node.datagrams_to_send(clocks[name]):
                    said.append((heading, name, data))
                    heading = ""
                    for clock in clocks:
                        clocks[clock] += 200_000
                    other.receive_datagram(
                        data, sender, clocks["rig" if name == "conductor" else "conductor"]
                    )

    conductor.handle(RigsChosen(rigs={"cameras": there}), clocks["conductor"])
    today = datetime.date(2026, 1, 31)
    request = AgreeRequested(number=1, subject="SP_01", date=today, ask=AskInfo(subject="SP_01"))
    conductor.handle(request, clocks["conductor"])
    exchange("**Who are you?** An EXPINFO of wire 1.0 that also holds `multirig`; the rig echoes it.")
    asked = next(each for each in pending if isinstance(each, Describe))
    described = Described(token=asked.token, info=Info(name="cameras", exp_ref=ExpRef(today, 1, "SP_01")))
    rig.handle(described, clocks["rig"])
    exchange(
        "**The answer** holds `multirig` too, and the conductor echoes it. From here on both speak wire 2."
    )
    conductor.handle(StepRequested(number=2, trigger=SessionTrigger.INIT), clocks["conductor"])
    exchange("**A request**, number 1 of the conductor, and its receipt: a frame without `n`.")
    call = next(each for each in pending if isinstance(each, Call))
    rig.handle(Done(number=call.number), clocks["rig"])
    exchange("**The reply**, when the adapter has done it: `re` names the request.")
    for clock in clocks:
        clocks[clock] += 25_000_000
    conductor.handle_timer(clocks["conductor"])
    exchange("**Its receipt**, 25 ms later, because no message came along that could have carried it.")
    parts = []
    for heading, name, data in said:
        if heading:
            parts.append(heading)
        parts.append(f"```text\n{name}: {data.decode()}\n```")
    return "\n\n".join(parts)


# -- the API -------------------------------------------------------------------------------------------------


def show_methods(cls: type) -> str:
    """Return signature and contract of each public method of a class."""
    rows = []
    for name, member in vars(cls).items():
        if name.startswith("_"):
            continue
        is_bound = isinstance(member, classmethod | staticmethod)
        if is_bound:
            member = member.__func__
        if isinstance(member, property):
            rows.append((code(name), inspect.getdoc(member).splitlines()[0]))
        elif inspect.isfunction(member):
            before = "await " if inspect.iscoroutinefunction(member) else ""
            if is_bound:
                before = f"{before}{cls.__name__}."
            doc = inspect.getdoc(member) or ""
            raised = re.findall(r"Raises\n------\n(.*)", doc, re.DOTALL)
            errors = re.findall(r"^([A-Z]\w+(?:, [A-Z]\w+)*)$", raised[0], re.MULTILINE) if raised else []
            tail = f" Raises {', '.join(errors)}." if errors else ""
            skipped = 0 if isinstance(vars(cls)[name], staticmethod) else 1
            call = code(f"{before}{name}{show_parameters(member, skipped)}")
            rows.append((call, (doc.splitlines() or [""])[0] + tail))
    return table(("call", "what it does"), rows)


def show_functions(module: str) -> str:
    """Return signature and contract of each public function of a module."""
    home = importlib.import_module(module)
    rows = []
    for name, member in vars(home).items():
        if name.startswith("_") or not inspect.isfunction(member) or member.__module__ != module:
            continue
        before = "await " if inspect.iscoroutinefunction(member) else ""
        doc = inspect.getdoc(member) or ""
        rows.append((code(f"{before}{name}{show_parameters(member, 0)}"), doc.splitlines()[0]))
    return table(("call", "what it does"), rows)


def show_parameters(function: Callable[..., Any], skipped: int = 1) -> str:
    """Return a signature without types."""
    parameters = list(inspect.signature(function).parameters.values())[skipped:]
    bare = [each.replace(annotation=inspect.Parameter.empty) for each in parameters]
    return str(inspect.Signature(bare))


def show_parameter_table(cls: type) -> str:
    """Return the parameters of a class from its docstring."""
    section = re.search(
        r"Parameters\n-+\n(.*?)(?:\n\n[A-Z]\w+\n-+\n|\Z)", inspect.getdoc(cls) or "", re.DOTALL
    )
    entries = re.findall(r"^(\w+) : (.*)\n((?:    .*\n?)+)", section[1] if section else "", re.MULTILINE)
    return table(
        ("parameter", "type", "meaning"), ((code(name), kind, meaning) for name, kind, meaning in entries)
    )


def show_members(cls: type) -> str:
    """Return each public member of a class: methods, and what is set or computed once."""
    names = {name: member for name, member in vars(cls).items() if isinstance(member, cached_property)}
    kept = [
        (code(name), inspect.getdoc(member.func).splitlines()[0])
        for name, member in names.items()
        if not name.startswith("_")
    ]
    own = [(code(name), text) for name, text in constructor_docs(cls).items()]
    rows = show_methods(cls).splitlines()[2:]
    return "\n".join([table(("call", "what it does"), [*own, *kept]), *rows])


def constructor_docs(cls: type) -> dict[str, str]:
    """Return the text that stands under each public attribute that a constructor sets."""
    docs = {}
    if "__init__" not in vars(cls) or dataclasses.is_dataclass(cls):
        return docs
    body = ast.parse(textwrap.dedent(inspect.getsource(cls.__init__))).body[0].body
    for one, text in itertools.pairwise(body):
        target = one.targets[0] if isinstance(one, ast.Assign) else getattr(one, "target", None)
        is_text = isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
        if isinstance(target, ast.Attribute) and not target.attr.startswith("_") and is_text:
            docs[target.attr] = inspect.cleandoc(text.value.value)
    return docs


def show_function(path: str) -> str:
    """Return the signature, the contract and the parameters of a function, given as ``module.function``."""
    module, _, name = path.rpartition(".")
    function = getattr(importlib.import_module(module), name)
    first = inspect.getdoc(function).splitlines()[0]
    head = f"{code(f'multirig.{name}{show_parameters(function, 0)}')}: {first}"
    return f"{head}\n\n{show_parameter_table(function)}"


def show_members_of_enum(cls: type) -> str:
    """Return the values of an enum with the text under each."""
    body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0].body
    rows = [
        (code(one.value.value), inspect.cleandoc(text.value.value))
        for one, text in itertools.pairwise(body)
        if isinstance(one, ast.Assign) and isinstance(text, ast.Expr)
    ]
    return table(("value", "meaning"), rows)


def show_fields(cls: type) -> str:
    """Return the public fields of a dataclass with the text under each."""
    docs = attribute_docs(cls)
    public = [each for each in dataclasses.fields(cls) if not each.name.startswith("_")]
    return table(
        ("field", "type", "meaning"),
        ((code(each.name), code(each.type), docs.get(each.name, "")) for each in public),
    )


def show_settings(name: str) -> str:
    """Return the keys of a task's settings."""
    from multirig.ibl import settings

    cls = getattr(settings, name)
    docs = attribute_docs(cls)
    rows = []
    for key, one in cls.model_fields.items():
        default = {"RIG_NAME": "this PC's host name", "iblrig_local_data_path": "`~/multirig_data`"}.get(
            key, code(json.dumps(one.default)) if one.default_factory is None else ""
        )
        rows.append((code(key), default, docs[key]))
    return table(("key", "default", "meaning"), rows)


def show_errors() -> str:
    """Return the tree of errors."""
    from multirig import errors

    classes = [
        each for each in vars(errors).values() if inspect.isclass(each) and each.__module__ == errors.__name__
    ]
    rows = []
    for each in classes:
        parents = ", ".join(code(base.__name__) for base in each.__bases__)
        rows.append((code(each.__name__), parents, inspect.getdoc(each).splitlines()[0]))
    return table(("error", "is also", "meaning"), rows)


def show_ibl(path: str, show: Callable[[type], str]) -> str:
    """Return a part of the description of a class of IBL's face, given as ``module.Class``."""
    module, _, name = path.rpartition(".")
    return show(getattr(importlib.import_module(f"multirig.ibl.{module}"), name))


def show_api(name: str, show: Callable[[type], str]) -> str:
    """Return a part of the description of a public class."""
    import multirig

    return show(getattr(multirig, name))


def _read(name: str) -> type:
    """Return a class of `multirig.reading`, given as ``module.Class``."""
    module, _, cls = name.rpartition(".")
    return getattr(importlib.import_module(f"multirig.reading.{module}"), cls)


def _sync(name: str) -> type:
    """Return a class of `multirig.sync`."""
    return getattr(importlib.import_module("multirig.sync"), name)


def show_truth() -> str:
    """Return what the last whole run of the truth suite has found, by kinds of session."""
    measured = json.loads((DOCS.parent / "tests" / "truth" / "measured.json").read_text(encoding="utf-8"))
    if not measured["kinds"]:
        return "Not measured yet.\n"
    rows = [
        (name, one["bad"] or "", one["false GOOD"] if one["bad"] else "", one["honest"] or "")
        + ((one["false alarms"],) if one["honest"] else ("",))
        for name, one in measured["kinds"].items()
    ]
    total = [sum(one[key] for one in measured["kinds"].values()) for key in TRUTH_KEYS]
    headings = ("kind of session", "bad sessions", "false GOOD", "honest sessions", "false alarms")
    return table(headings, [*rows, ("**all**", *(f"**{one}**" for one in total))])


def show_promises() -> str:
    """Return what a rehearsal watches."""
    from multirig.sim.lab import ALL_INVARIANTS

    return table(["name in the report", "promise"], ((one.name, one.promise) for one in ALL_INVARIANTS))


PARTS: dict[str, Callable[[], str]] = {
    "commands": show_commands,
    "rig-keys": show_rig_keys,
    "rigs-file-keys": show_rigs_file_keys,
    "conductor-keys": show_conductor_keys,
    "camera-keys": lambda: show_adapter_keys("camera"),
    "process-keys": lambda: show_adapter_keys("process"),
    "fake-keys": lambda: show_adapter_keys("fake"),
    "verdict-words": show_words,
    "verdict-rules": show_rules,
    "promises": show_promises,
    "truth": show_truth,
    "rig-states": show_rig_states,
    "session-states": show_session_states,
    "frame-keys": show_frame_keys,
    "conversation": show_conversation,
    "wire-words": show_wire_words,
    "conductor-parameters": lambda: show_api("Conductor", show_parameter_table),
    "conductor-methods": lambda: show_api("Conductor", show_methods),
    "led-session-methods": lambda: show_methods(
        importlib.import_module("multirig.conductor.session").Session
    ),
    "observer-methods": lambda: show_api("Observer", show_methods),
    "sighting-fields": lambda: show_api("Sighting", show_fields),
    "rig-service-parameters": lambda: show_api("RigService", show_parameter_table),
    "rig-service-methods": lambda: show_api("RigService", show_methods),
    "adapter-hooks": lambda: show_api("Adapter", show_methods),
    "session-fields": lambda: show_api("Session", show_fields),
    "health-fields": lambda: show_api("Health", show_fields),
    "picture-fields": lambda: show_api("Picture", show_fields),
    "recorded-file-fields": lambda: show_api("File", show_fields),
    "errors": show_errors,
    "sessions-function": lambda: show_function("multirig.reading.listing.sessions"),
    "listed-session": lambda: show_members(_read("listing.ListedSession")),
    "load-function": lambda: show_function("multirig.reading.loading.load"),
    "loaded-session": lambda: show_members(_read("session.LoadedSession")),
    "zero-fields": lambda: show_fields(_read("zero.Zero")),
    "loaded-rig-fields": lambda: show_fields(_read("contents.Rig")),
    "loaded-file-fields": lambda: show_fields(_read("contents.FileRow")),
    "loaded-start-fields": lambda: show_fields(_read("contents.Start")),
    "loaded-mark-fields": lambda: show_fields(_read("contents.Mark")),
    "loaded-clock": lambda: show_members(_read("clocks.Clock")),
    "collection": lambda: show_methods(_read("parts.Collection")),
    "part-conditions": lambda: show_members_of_enum(_read("parts.Condition")),
    "offset-functions": lambda: show_functions("multirig.sync.offsets"),
    "alignment-functions": lambda: show_functions("multirig.sync.alignment"),
    "pulse-functions": lambda: show_functions("multirig.sync.pulses"),
    "alignment-fields": lambda: show_fields(_sync("Alignment")),
    "alignment-methods": lambda: show_methods(_sync("Alignment")),
    "pulse-fields": lambda: show_fields(_sync("Pulse")),
    "network-session": lambda: show_ibl("network_mixin.NetworkMixin", show_methods),
    "auxiliaries-parameters": lambda: show_ibl("auxiliaries.Auxiliaries", show_parameter_table),
    "auxiliaries": lambda: show_ibl("auxiliaries.Auxiliaries", show_methods),
    "remote-services": lambda: show_ibl("remote_services.RemoteServices", show_methods),
    "base-session-parameters": lambda: show_ibl("base_session.BaseSession", show_parameter_table),
    "base-session": lambda: show_ibl("base_session.BaseSession", show_methods),
    "hardware-settings": lambda: show_settings("HardwareSettings"),
    "iblrig-settings": lambda: show_settings("IblrigSettings"),
    "exp-message": lambda: show_ibl("net.base.ExpMessage", show_methods),
    "communicator": lambda: show_ibl("net.base.Communicator", show_methods),
    "echo-protocol": lambda: show_ibl("net.app.EchoProtocol", show_methods),
    "services": lambda: show_ibl("net.app.Services", show_methods),
    "net-functions": lambda: show_functions("multirig.ibl.net.base"),
    "rig-functions": lambda: show_functions("multirig.ibl.net.rigs"),
    "alyx-functions": lambda: show_functions("multirig.ibl.alyx"),
    "registration-functions": lambda: show_functions("multirig.ibl.registration"),
    "alyx-lists": lambda: show_functions("multirig.ibl.alyx_lists"),
    "spontaneous-session": lambda: show_ibl("plain_sessions.SpontaneousSession", show_parameter_table),
    "previous-sessions": lambda: show_functions("multirig.ibl.previous_sessions"),
    "task-functions": lambda: show_functions("multirig.ibl.task_arguments"),
    "description-functions": lambda: show_functions("multirig.ibl.description"),
}
"""What stands in the parts, by name."""

SCHEMAS: dict[str, Callable[[], dict[str, Any]]] = {
    "rig-config.schema.json": rig_config_schema,
    "multirig-yaml.schema.json": lambda: importlib.import_module("multirig.config").conductor_config_schema(),
    "verdict.schema.json": verdict_schema,
    "manifest.schema.json": manifest_schema,
    "collected.schema.json": receipt_schema,
}
"""The JSON schemas, by the names of their files."""


if __name__ == "__main__":
    sys.exit(main())
