"""One line for whatever is wrong in a file: where, what, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic_core import ErrorDetails

from multirig.wording import discreet

_ADVICE = {
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text, in quotes if it looks like a number, a date or yes/no",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "list_type": "a list, such as [a, b]",
    "tuple_type": "a list, such as [a, b]",
    "set_type": "a list, such as [a, b]",
    "dict_type": "key: value pairs",
    "model_type": "key: value pairs",
    "model_attributes_type": "key: value pairs",
    "dataclass_type": "key: value pairs",
    "dataclass_exact_type": "key: value pairs",
    "mapping_type": "key: value pairs",
    "path_type": "a folder or a file",
    "none_required": "nothing",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "too_short": "at least {min_length}",
    "too_long": "at most {max_length}",
    "string_too_short": "at least {min_length} characters",
    "string_too_long": "at most {max_length} characters",
    "literal_error": "{expected}",
    "enum": "{expected}",
}
"""What to give instead, by pydantic's type of error; for others pydantic's own words are shown."""

_UNKNOWN_KEY = {"extra_forbidden", "unexpected_keyword_argument", "dataclass_init_false"}
_KEY = "[key]"
"""What pydantic appends to the place of an error in the key itself."""
_SHOWN = 40
"""Characters shown of a wrong value."""


def explain(error: ValidationError, source: object, *, prefix: str = "", model: Any = None) -> str:
    """Say in one line what pydantic found wrong: the file, the key, what is wrong, what to do.

    Unknown keys come first: a misspelled key is usually also a missing one.

    Parameters
    ----------
    error : pydantic.ValidationError
        What pydantic raised.
    source : object
        The file, or the rig whose configuration it was.
    prefix : str
        Path of keys above what was validated (``adapter``).
    model : type, optional
        What was validated against: a model, a dataclass or any other type. With it the message knows the keys
        that exist, and what they mean.

    Returns
    -------
    str
        For example ``rig.yaml: limits.start is -3: give more than 0``.
    """
    schema = _json_schema(model)
    problems: dict[tuple[str, bool], list[ErrorDetails]] = {}
    for detail in sorted(error.errors(include_url=False), key=lambda each: each["type"] not in _UNKNOWN_KEY):
        problems.setdefault((_locate(schema, detail).path, _is_about_key(detail)), []).append(detail)
    (path, _), details = next(iter(problems.items()))
    others = len(problems) - 1
    more = f"; and {others} more problem{'s' if others > 1 else ''}" if others else ""
    where = path if path.startswith("[") or not (prefix and path) else f".{path}"
    return discreet(join_lines(f"{source}: {_sentence(prefix + where, details, schema)}{more}"))


def _sentence(path: str, details: Sequence[ErrorDetails], schema: _Schema) -> str:
    first = details[0]
    place = _locate(schema, first)
    match first["type"]:
        case kind if kind in _UNKNOWN_KEY:
            return f"{path} is not a key that exists{suggestion(str(first['loc'][-1]), _keys(place.parent))}"
        case "missing":
            meaning = next((each["description"] for each in place.node if "description" in each), "")
            return f"{path} is missing: add it" + (f" ({meaning.rstrip('.')})" if meaning else "")
        case "invalid_key":
            key = show_value(first["input"])
            return f"{path} has the key {key}, which is not text: put it in quotes".lstrip()
        case "value_error":
            return ": ".join(part for part in (path, str(first["ctx"]["error"])) if part)
    if all(each["type"] in _ADVICE for each in details):
        wanted = [_ADVICE[each["type"]].format_map(each.get("ctx", {})) for each in details]
        advice = "give " + " or ".join(dict.fromkeys(wanted))
    else:
        advice = " or ".join(dict.fromkeys(each["msg"] for each in details))
    what = "not a key that fits" if _is_about_key(first) else show_value(first["input"])
    return f"{path} is {what}: {advice}".lstrip()


def _is_about_key(detail: ErrorDetails) -> bool:
    return detail["loc"][-1:] == (_KEY,)


_Schema: TypeAlias = Mapping[str, Any]


class _Place(NamedTuple):
    """Where an error is, as far as pydantic's steps have been followed through the JSON schema."""

    skipped: int
    """How many steps were taken for labels."""
    path: str
    """The keys, as an operator writes them."""
    parent: list[_Schema]
    """What may stand around the last key."""
    node: list[_Schema]
    """What may stand there."""


def _locate(schema: _Schema, detail: ErrorDetails) -> _Place:
    """Follow pydantic's steps to an error.

    Some steps are no keys of the file: they label the branch of a union. A label may even be called like a
    key, so each step is tried both ways, and the way on which most steps are keys is taken.
    """
    no_key = detail["type"] == "invalid_key" or _is_about_key(detail)
    steps = detail["loc"][:-1] if no_key else detail["loc"]
    names_a_key = detail["type"] in _UNKNOWN_KEY | {"missing"}
    places = [_Place(0, "", [], list(_branches(schema, schema)))]
    for number, step in enumerate(steps):
        is_last = number == len(steps) - 1
        places = [
            new
            for old in places
            for new in _step(old, step, schema, is_last=is_last, may_be_unknown=is_last and names_a_key)
        ]
    return min(places, key=lambda place: place.skipped)


def _step(
    place: _Place, step: int | str, schema: _Schema, *, is_last: bool, may_be_unknown: bool
) -> Iterator[_Place]:
    node = place.node
    values = [item for each in node if isinstance(item := each.get("additionalProperties"), Mapping)]
    if isinstance(step, int) and not values:
        items = [item for each in node if isinstance(item := each.get("items"), Mapping)]
        is_list = any("items" in each or "prefixItems" in each for each in node)
        yield _Place(
            place.skipped + (0 if is_list else 1), f"{place.path}[{step}]", node, _all_branches(items, schema)
        )
        return
    found = [each["properties"][step] for each in node if step in each.get("properties", {})] or values
    if found or not schema or (may_be_unknown and _keys(node)):
        path = f"{place.path}.{step}" if place.path else str(step)
        yield place._replace(path=path, parent=node, node=_all_branches(found, schema))
    if schema:
        # The last step is a label only if it cannot be a key.
        yield place._replace(skipped=place.skipped + (2 if is_last else 1))


def _all_branches(nodes: Iterable[_Schema], schema: _Schema) -> list[_Schema]:
    return [each for node in nodes for each in _branches(node, schema)]


def _branches(node: _Schema, schema: _Schema) -> Iterator[_Schema]:
    """Yield the node itself and whatever it refers to or leaves the choice of."""
    yield node
    if "$ref" in node:
        yield from _branches(schema.get("$defs", {}).get(node["$ref"].rpartition("/")[2], {}), schema)
    for choice in ("anyOf", "oneOf", "allOf"):
        for each in node.get(choice, ()):
            yield from _branches(each, schema)


def _json_schema(model: Any) -> _Schema:
    if model is None:
        return {}
    try:
        return TypeAdapter(model).json_schema()
    except PydanticUserError:
        # A field (a function, say) that JSON cannot describe: the message is then without suggestions.
        return {}


def _keys(node: Iterable[_Schema]) -> list[str]:
    return list(dict.fromkeys(key for each in node for key in each.get("properties", {})))


def suggestion(word: str, known: Iterable[str], what: str = "keys") -> str:
    """Return the end of a message about an unknown word: the nearest one that exists, and all of them.

    Parameters
    ----------
    word : str
        What was written.
    known : iterable of str
        What could have been written.
    what : str
        What these are, in the plural.
    """
    known = list(known)
    if not known:
        return ""
    close = difflib.get_close_matches(word, known, n=1)
    question = f"did you mean {close[0]!r}? The" if close else "the"
    # A lab with a thousand rigs still gets one line that fits on a screen.
    listed = ", ".join(known[:20]) + (f" and {len(known) - 20} more" if len(known) > 20 else "")
    return f": {question} {what} are {listed}"


def show_value(value: object) -> str:
    """Show a value as the operator wrote it, shortened."""
    match value:
        case None:
            return "empty"
        case bool():
            return str(value).lower()
        case Mapping():
            return "a mapping"
        case [] | ():
            return "an empty list"
        case list() | tuple():
            return "a list"
        case str():
            text = discreet(repr(value))
        case _:
            text = str(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def join_lines(text: str) -> str:
    """Return a text of several lines, such as a parser's message, in one."""
    return " ".join(line.strip() for line in text.splitlines())
