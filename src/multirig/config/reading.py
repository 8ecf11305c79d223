"""From a file to what its YAML holds, with the place of whatever is wrong.

Our own files are read as a person reads them, by a table that is narrower than that of YAML 1.2: a plain
scalar is a number only if it is written as one usually writes numbers, so that ``001``, ``1e5``, ``1:30``,
``1_000``, ``no``, ``2026-03-04`` and ``~`` are text. A key that wants a number or a claim takes text that is
one (pydantic does), and refuses what could be read in two ways; a key that wants text has it as written.

Files that iblrig reads too are read as iblrig does, by YAML 1.1; what that reads otherwise than a person is
refused where somebody has written it by hand.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from multirig.config.explaining import join_lines, show_value
from multirig.errors import ConfigError, why_not

_TAG = "tag:yaml.org,2002:"
_PLAIN: tuple[tuple[str, str, str], ...] = (
    ("null", r"null|Null|NULL|", "nN"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"-?(0|[1-9][0-9]*)", "-0123456789"),
    ("float", r"-?(0|[1-9][0-9]*)\.([0-9]*[1-9]|0)|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+.0123456789"),
    ("merge", r"<<", "<"),
)
"""What a plain scalar is, if it is no text: its tag, how it is written, and how that may begin."""
_ODD = re.compile(r"[-+]?(0[0-9_]|[0-9_.]*[_:])")
"""How a number of YAML 1.1 begins that a person reads otherwise: 010 is 8 there, 1:30 is 90."""


class _Objection(yaml.MarkedYAMLError):
    """Something that YAML lets pass and we do not."""


class YamlLoader(yaml.SafeLoader):
    """PyYAML's safe loader, by YAML 1.1, which also refuses a key that is given twice."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Compose the mapping and look at its keys, before ``<<`` adds those of others."""
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    raise _Objection(
                        problem=f"the key {key.value!r} is given twice: keep one", problem_mark=key.start_mark
                    )
                seen.add((key.tag, key.value))
        return node


class OwnLoader(YamlLoader):
    """Reads what was written for us: by the table above."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  PyYAML's own


for _name, _written, _begins in _PLAIN:
    OwnLoader.add_implicit_resolver(
        _TAG + _name, re.compile(f"(?:{_written})$"), [*_begins, *([""] if _name == "null" else [])]
    )


class SharedLoader(YamlLoader):
    """Reads hand-written files that iblrig reads too, as iblrig does; refuses numbers in odd clothes."""

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        """Compose the scalar and look at how it is written."""
        node = super().compose_scalar_node(anchor)
        if node.style is None and node.tag in (f"{_TAG}int", f"{_TAG}float") and _ODD.match(node.value):
            number, text = self.construct_object(node), node.value
            problem = f"iblrig reads {text} as {number}: write {number}, or {text!r} if it is text"
            raise _Objection(problem=problem, problem_mark=node.start_mark)
        return node


def read_text(path: Path) -> str:
    """Return the text of a file as it is (line ends too), or raise ConfigError."""
    try:
        # Notepad writes a byte order mark.
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file: check the path") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: the file is not UTF-8 text: save it as UTF-8 in your editor") from None
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({why_not(error)}): give a file that you may read"
        ) from error


def parse_pairs(
    text: str, source: object, *, example: str, loader: type[YamlLoader] = OwnLoader
) -> dict[Any, Any]:
    """Return the ``key: value`` pairs that a YAML text holds, none if it is empty; see `parse_yaml`.

    Raises
    ------
    ConfigError
        It is no YAML, or holds something else.
    """
    content = parse_yaml(text, source, loader)
    if content is not None and not isinstance(content, dict):
        raise ConfigError(
            f"{source}: the file holds {show_value(content)}: write key: value lines, such as {example}"
        )
    return content or {}


def parse_yaml(text: str, source: object, loader: type[YamlLoader]) -> Any:
    """Return what the YAML text holds, or raise ConfigError with the line and column.

    Parameters
    ----------
    text : str
        One YAML document.
    source : object
        The file, for the message.
    loader : type
        How to read it: `OwnLoader`, `SharedLoader`, or `YamlLoader` for what programs have written.
    """
    try:
        return yaml.load(text, loader)
    except _Objection as error:
        raise ConfigError(f"{source}: {_position(error.problem_mark)}: {error.problem}") from None
    except yaml.MarkedYAMLError as error:
        problem = f"not YAML, {error.problem or error.context}"
        advice = "correct that line"
        if "escape character" in problem:
            advice = "between double quotes write \\\\ for each backslash of a path, or use single quotes"
        mark = error.problem_mark or error.context_mark
        raise ConfigError(join_lines(f"{source}: {_position(mark)}: {problem}: {advice}")) from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        line, column = before.count("\n") + 1, error.position - before.rfind("\n")
        raise ConfigError(
            f"{source}: line {line}, column {column}: not YAML, "
            f"character {error.character:#06x} is not text: delete it"
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # A ValueError is what looks like a date or number and is none, such as 2024-13-45.
        raise ConfigError(
            join_lines(f"{source}: not YAML, {error}: correct it or put it in quotes")
        ) from None


def _position(mark: yaml.Mark | None) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}" if mark else "somewhere"
