"""One configuration tree: where a rig listens, what it drives, where it writes; checked before anything runs.

Whatever is wrong in a file becomes a `ConfigError` of one line: the file, the key, what is wrong, what to do.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeAlias

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic.errors import PydanticUserError
from pydantic_core import ErrorDetails, core_schema

from multirig.errors import ConfigError, LocalProtocolError
from multirig.protocol.exp_ref import check_subject

DEFAULT_PORT = 11001
"""The port of wire 1.0, which iblutil, Timeline and ScanImage use too."""

SCHEMES = {"udp": "udp", "tcp": "tcp", "ws": "tcp", "wss": "tcp"}
"""How an address may begin, and what it means; iblutil speaks plain TCP behind ``ws`` and ``wss``."""

MAX_NAME = 64
"""Characters of a rig's name: it stands in a table on the screen."""

_LABEL = re.compile(r"\w|\w[\w-]{0,61}\w", re.ASCII)
"""One part of a host name; Windows computers are called things like ``CAM_PC``, so underscores are fine."""

_ZONE = re.compile(r"[\w.~-]+", re.ASCII)
"""The network interface of a link-local IPv6 address: ``eth0``; on Windows a number."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


# -- addresses -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Uri:
    """Where a rig listens or can be reached; made by `parse`, which brings it into its one canonical form."""

    scheme: str
    """``udp`` or ``tcp``."""
    host: str
    """An IP address, without brackets, or a host name in lower case; never resolved here."""
    port: int = DEFAULT_PORT
    """1 to 65535; 0 means any free port and is only for listening."""

    @classmethod
    def parse(cls, text: object, *, listening: bool = False) -> Uri:
        """Read an address in any of its forms.

        Parameters
        ----------
        text : str, ipaddress.IPv4Address, ipaddress.IPv6Address or Uri
            ``udp://host:port``, ``tcp://…``; ``ws://`` and ``wss://`` mean plain TCP; scheme and port may be
            left out (``udp``, 11001). IPv6 stands in brackets when a port follows it.
        listening : bool
            Also take port 0, any free port.

        Returns
        -------
        Uri

        Raises
        ------
        ConfigError
            A part of it is wrong; the message says which one, and what a good one looks like.
        """
        if isinstance(text, Uri):
            uri = text
        elif isinstance(text, str):
            uri = cls._split(text)
        elif isinstance(text, ipaddress.IPv4Address | ipaddress.IPv6Address):
            uri = cls("udp", str(text))
        else:
            raise ConfigError(f"{_shown(text)} is not an address: write udp://host:{DEFAULT_PORT}")
        if not (0 if listening else 1) <= uri.port <= 65535:
            raise _bad_address(str(uri), f"the port {uri.port} is not in {0 if listening else 1} to 65535")
        return uri

    @classmethod
    def _split(cls, text: str) -> Uri:
        scheme, marker, rest = text.strip().partition("://")
        if not marker:
            scheme, rest = "udp", scheme
        if scheme.lower() not in SCHEMES:
            raise _bad_address(text, f"the scheme {scheme!r} is not one of {', '.join(SCHEMES)}")
        rest = rest.removesuffix("/")
        if rest.startswith("["):
            inside, bracket, after = rest[1:].partition("]")
            if not bracket or (after and not after.startswith(":")):
                raise _bad_address(text, "the brackets of the IPv6 address do not match")
            host, colon, port = _ipv6(text, inside), after[:1], after[1:]
        elif rest.count(":") > 1:
            host, colon, port = _ipv6(text, rest), "", ""
        else:
            name, colon, port = rest.partition(":")
            host = _host(text, name)
        if not colon:
            return cls(SCHEMES[scheme.lower()], host)
        if not re.fullmatch("[0-9]{1,5}", port):
            raise _bad_address(text, f"the port {port!r} is not a number from 1 to 65535")
        return cls(SCHEMES[scheme.lower()], host, int(port))

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: object, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Let pydantic read it with `parse` and write it as text; one that is made already is kept."""
        return core_schema.no_info_plain_validator_function(
            lambda value: value if isinstance(value, Uri) else cls.parse(value),
            serialization=core_schema.to_string_ser_schema(),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Describe it as the text that it is in a file."""
        return {"type": "string", "examples": [f"udp://192.168.1.20:{DEFAULT_PORT}"]}


def _bad_address(text: str, what: str) -> ConfigError:
    return ConfigError(
        f"{text!r} is not an address: {what}; write udp://host:{DEFAULT_PORT} or udp://[::1]:{DEFAULT_PORT}"
    )


def _ipv6(text: str, host: str) -> str:
    address, percent, zone = host.partition("%")
    try:
        if percent and not _ZONE.fullmatch(zone):
            raise ValueError("no name of a network interface")
        return str(ipaddress.IPv6Address(address)) + percent + zone
    except ValueError:
        raise _bad_address(text, f"the host {host!r} is not an IPv6 address") from None


def _host(text: str, host: str) -> str:
    if not host:
        raise _bad_address(text, "the host is missing")
    labels = host.removesuffix(".").split(".")
    if labels[-1].isdecimal():
        # No host name ends in a number: this was meant as an IP address and must not reach a name server.
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise _bad_address(text, f"the host {host!r} is not an IP address") from None
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise _bad_address(text, f"the host {host!r} is neither a host name nor an IP address")
    # Names are the same in any case; one form, so that one rig under two spellings is noticed.
    return host.lower()


# -- field types ---------------------------------------------------------------------------------------------


def check_name(name: str) -> str:
    """Return the name of a rig if it can label one, else raise ConfigError."""
    if (
        not name
        or name != name.strip()
        or len(name) > MAX_NAME
        or not name.isprintable()
        or set(name) & {*"/\\"}
    ):
        raise ConfigError(
            f"{_shown(name)} cannot name a rig: use 1 to {MAX_NAME} characters, such as cameras:left, "
            "without slashes and without spaces at its ends"
        )
    return name


def _check_lab(lab: str) -> str:
    try:
        return check_subject(lab)
    except LocalProtocolError:
        raise ConfigError(
            f"{_shown(lab)} cannot name a folder: use letters, digits, '_', '-' and '.', "
            "beginning with a letter or digit, at most 64"
        ) from None


def _check_network(text: str) -> str:
    text = text.strip()
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ConfigError(
            f"{text!r} is not an IP address or network: write 192.168.1.20 or 192.168.1.0/24"
        ) from None
    host, slash, _ = text.partition("/")
    if slash and ipaddress.ip_address(host) != network.network_address:
        # Too much would be let in if only that one computer was meant.
        raise ConfigError(f"{text!r} is an address and a network at once: write {host} or {network}")
    return text


def _check_ip_address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        raise ConfigError(f"{text!r} is not an IP address: write 192.168.1.20") from None


def _as_list(value: object) -> object:
    return value if isinstance(value, list | tuple) else [Uri.parse(value, listening=True)]


def _check_uris(uris: list[Uri]) -> list[Uri]:
    for number, uri in enumerate(uris):
        # Several "any free port" are several ports.
        if uri.port and uri in uris[:number]:
            raise ConfigError(f"{uri} stands there twice: keep one")
    return uris


def _place(value: object, info: ValidationInfo) -> object:
    """Expand ``~`` and put a relative path below the config file's folder; pydantic refuses other types."""
    if not isinstance(value, str | Path):
        return value
    text = str(value)
    if isinstance(value, str) and not text.strip():
        raise ConfigError("the path is empty: write a folder")
    if _CONTROL.search(text):
        raise ConfigError(
            f"{text!r} holds a character that no path holds: between double quotes YAML reads \\t as a tab, "
            "so write single quotes or forward slashes"
        )
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        raise ConfigError(f"{text!r} names a home folder that is not known: write the whole path") from None
    folder = (info.context or {}).get("folder")
    # As text: when pydantic reads JSON it takes nothing else for a path.
    return str(folder / path if folder is not None else path)


Name = Annotated[str, AfterValidator(check_name)]
"""A rig's name, as a field of a pydantic model."""

_ListeningUri = Annotated[Uri, BeforeValidator(lambda value: Uri.parse(value, listening=True))]
_PlacedPath = Annotated[Path, BeforeValidator(_place)]
_Seconds = Annotated[float, Field(gt=0, strict=True, allow_inf_nan=False)]
_EVERYWHERE = Uri("udp", "0.0.0.0", DEFAULT_PORT)
_TEXT_OR_LIST = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}


# -- the tree ------------------------------------------------------------------------------------------------


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Limits(_Frozen):
    """Seconds that each step may take on this rig before it counts as failed."""

    initialise: _Seconds = 30.0
    """Open the program or device and check that it could record."""
    start: _Seconds = 30.0
    """Begin to record."""
    stop: _Seconds = 60.0
    """End the recording and close its files."""
    cleanup: _Seconds = 30.0
    """Let go of the program or device."""


class AdapterConfig(_Frozen):
    """What the rig drives: the adapter's name, and beside it that adapter's own keys, which it checks."""

    model_config = ConfigDict(extra="allow")

    type: str
    """Name of the adapter in the entry point group multirig.adapters: camera, process, fake, or your own."""

    @property
    def options(self) -> dict[str, Any]:
        """The adapter's own keys."""
        return dict(self.model_extra or {})


class RigConfig(_Frozen):
    """The configuration of one rig: the file that ``multirig serve`` is given."""

    name: Name
    """What this rig is called in tables and messages, such as cameras or cameras:left."""
    uri: Annotated[
        list[_ListeningUri],
        Field(min_length=1, json_schema_extra={"default": str(_EVERYWHERE)}),
        BeforeValidator(_as_list),
        AfterValidator(_check_uris),
        WithJsonSchema(_TEXT_OR_LIST),
    ] = [_EVERYWHERE]
    """Where the rig listens: one address or a list; port 0 takes any free port."""
    main_sync: Annotated[bool, Field(strict=True)] = False
    """Whether this rig owns the experiment's number and timeline; in a session exactly one PC does."""
    data_folder: _PlacedPath
    """Folder on this PC below which the sessions are written; relative to this file, ~ is your home."""
    lab: Annotated[str, AfterValidator(_check_lab)] = "mylab"
    """Name of the lab: the folder between the data folder and Subjects."""
    adapter: AdapterConfig
    """What the rig drives, and how."""
    allow: list[Annotated[str, AfterValidator(_check_network)]] = []
    """IP addresses and networks that may command this rig, besides this PC and private networks."""
    allow_any: Annotated[bool, Field(strict=True)] = False
    """Whether every computer that can reach this rig may command it."""
    alyx_token_to: list[Annotated[str, AfterValidator(_check_ip_address)]] = []
    """IP addresses of computers that may be given the Alyx token, which travels unencrypted."""
    log_folder: _PlacedPath | None = None
    """Folder for this rig's log files; relative to this file; without it, the user's log folder."""
    limits: Limits = Limits()
    """Seconds that each step may take."""


def load_rig_config(path: str | Path) -> RigConfig:
    """Read and check the configuration of a rig.

    Parameters
    ----------
    path : str or pathlib.Path
        A YAML file; paths inside it are relative to its folder.

    Returns
    -------
    RigConfig

    Raises
    ------
    ConfigError
        The file cannot be read or something in it is wrong; one line with the file, the key and what to do.
    """
    path = Path(path).expanduser()
    content = parse_yaml(read_text(path), path)
    if content is None:
        raise ConfigError(f"{path}: the file is empty: write at least name, data_folder and adapter")
    if not isinstance(content, Mapping):
        raise ConfigError(
            f"{path}: the file holds {_shown(content)}: write key: value lines, such as name: cameras"
        )
    try:
        return RigConfig.model_validate(content, context={"folder": path.absolute().parent})
    except ValidationError as error:
        raise ConfigError(explain(error, path, model=RigConfig)) from error


def rig_config_schema() -> dict[str, Any]:
    """Return the JSON schema of a rig's configuration, for editors and the docs."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **RigConfig.model_json_schema()}


# -- YAML ----------------------------------------------------------------------------------------------------


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
        raise ConfigError(_one_line(f"{source}: {_position(mark)}: {problem}: {advice}")) from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        line, column = before.count("\n") + 1, error.position - before.rfind("\n")
        raise ConfigError(
            f"{source}: line {line}, column {column}: not YAML, "
            f"character {error.character:#06x} is not text: delete it"
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # A ValueError is what looks like a date or number and is none, such as 2024-13-45.
        raise ConfigError(_one_line(f"{source}: not YAML, {error}: correct it or put it in quotes")) from None


def _position(mark: yaml.Mark | None) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}" if mark else "somewhere"


# -- one line for whatever is wrong --------------------------------------------------------------------------

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
    return _one_line(f"{source}: {_sentence(prefix + where, details, schema)}{more}")


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
            return (
                f"{path} has the key {_shown(first['input'])}, which is not text: put it in quotes".lstrip()
            )
        case "value_error":
            return ": ".join(part for part in (path, str(first["ctx"]["error"])) if part)
    if all(each["type"] in _ADVICE for each in details):
        wanted = [_ADVICE[each["type"]].format_map(each.get("ctx", {})) for each in details]
        advice = "give " + " or ".join(dict.fromkeys(wanted))
    else:
        advice = " or ".join(dict.fromkeys(each["msg"] for each in details))
    what = "not a key that fits" if _is_about_key(first) else _shown(first["input"])
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
        places = [new for old in places for new in _step(old, step, schema, is_last, is_last and names_a_key)]
    return min(places, key=lambda place: place.skipped)


def _step(
    place: _Place, step: int | str, schema: _Schema, is_last: bool, may_be_unknown: bool
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


def _shown(value: object) -> str:
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
            text = repr(value)
        case _:
            text = str(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _one_line(text: str) -> str:
    return " ".join(line.strip() for line in text.splitlines())
