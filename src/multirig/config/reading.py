"""From a file to what its YAML holds, with the place of whatever is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from multirig.config.explaining import join_lines
from multirig.errors import ConfigError


class _DuplicateKey(yaml.MarkedYAMLError):
    """A key stands twice in one mapping, which YAML forbids and PyYAML lets pass: the last one would win."""


class YamlLoader(yaml.SafeLoader):
    """PyYAML's safe loader, which also refuses a key that is given twice."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Compose the mapping and look at its keys, before ``<<`` adds those of others."""
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    raise _DuplicateKey(
                        problem=f"the key {key.value!r} is given twice: keep one", problem_mark=key.start_mark
                    )
                seen.add((key.tag, key.value))
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
            f"{path}: cannot be read ({error.strerror}): give a file that you may read"
        ) from error


def parse_yaml(text: str, source: object) -> Any:
    """Return what the YAML text holds, or raise ConfigError with the line and column.

    Parameters
    ----------
    text : str
        One YAML document.
    source : object
        The file, for the message.
    """
    try:
        return yaml.load(text, YamlLoader)
    except _DuplicateKey as error:
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
