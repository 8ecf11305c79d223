"""What a rig's file holds: its keys, what each may be, and how the file is loaded."""

from __future__ import annotations

import ipaddress
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_serializer,
    model_validator,
)

from multirig.config.duration import DURATION_SCHEMA, Duration, parse_duration
from multirig.config.expect import Expect
from multirig.config.explaining import explain, show_value
from multirig.config.reading import parse_pairs, read_text
from multirig.config.uri import DEFAULT_PORT, Uri
from multirig.errors import ConfigError, LocalProtocolError
from multirig.protocol.exp_ref import check_subject

MAX_NAME = 64
"""Characters of a rig's name: it stands in a table on the screen."""

MIN_STALL = 1.0
"""Seconds: the rig looks twice in that time whether the recording grows."""

MAX_DUTY = 0.25
"""Of the time from pulse to pulse: half of the shortest interval stays free."""
MAX_PULSE = 1.0
"""Seconds: the end of a recording waits for a pulse that has begun."""

LEAST_ASK, LONGEST_ASK = 5.0, 300.0
"""Seconds for which the person at a rig may be asked: time to read and to type; nobody waits longer."""

CONTINUE = "continue"
REFUSE, ALLOW = "refuse", "allow"
NEVER = "never"

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

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
            f"{show_value(name)} cannot name a rig: use 1 to {MAX_NAME} characters, such as cameras:left, "
            "without slashes and without spaces at its ends"
        )
    return name


def check_lab(lab: str) -> str:
    """Return a lab's name if it can name a folder, else raise ConfigError."""
    try:
        return check_subject(lab)
    except LocalProtocolError:
        raise ConfigError(
            f"{show_value(lab)} cannot name a folder: use letters, digits, '_', '-' and '.', "
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


_LIKE_ADDRESS = re.compile(r"|\d+(\.\d*)+(/.*)?|[\da-fA-F]*:[\da-fA-F:.]*(/.*)?")
"""What cannot be meant for a name: of an address that is wrong, or of a network."""


def _check_token_holder(text: str) -> str:
    """Return the IP address of a peer, or the name of a PC of the lab, or the id of its key."""
    text = text.strip()
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        pass
    if _LIKE_ADDRESS.fullmatch(text):
        raise ConfigError(
            f"{text!r} is neither an IP address nor the name of a PC of the lab: write 192.168.1.20, or the "
            "name that 'multirig key show' tells there"
        )
    return text


def _as_list(value: object) -> object:
    return value if isinstance(value, list | tuple) else [Uri.parse(value, listening=True)]


def _check_uris(uris: list[Uri]) -> list[Uri]:
    for number, uri in enumerate(uris):
        # Several "any free port" are several ports.
        if uri.port and uri in uris[:number]:
            raise ConfigError(f"{uri} stands there twice: keep one")
    return uris


def place(value: object, info: ValidationInfo) -> object:
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
        home = "".join(Path(text).parts[:1])
        if sys.platform == "win32" and home[:1] == "~" != home and not Path(home).expanduser().is_dir():
            raise RuntimeError  # Windows guesses that it lies beside this user's
    except RuntimeError:
        raise ConfigError(f"{text!r} names a home folder that is not known: write the whole path") from None
    folder = (info.context or {}).get("folder")
    # As text: when pydantic reads JSON it takes nothing else for a path.
    return str(folder / path if folder is not None else path)


def _read_lost(value: object) -> object:
    if value == CONTINUE:
        return {}
    if isinstance(value, BaseModel) or (isinstance(value, Mapping) and value):
        return value
    raise ConfigError(
        f"{show_value(value)} does not say what to do: write {CONTINUE}, or {{stop_after: 10 min}}"
    )


def _read_take_over(value: object) -> object:
    if value in (REFUSE, ALLOW):
        return {"ask": None, "then": value}
    if isinstance(value, BaseModel) or (isinstance(value, Mapping) and value):
        return value
    raise ConfigError(
        f"{show_value(value)} does not say who decides: "
        f"write {{ask: 30 s, then: {REFUSE}}}, or {REFUSE} or {ALLOW}"
    )


def _parse_ask(value: object) -> float | None:
    if value is None:
        return None
    seconds = parse_duration(value)
    if not LEAST_ASK <= seconds <= LONGEST_ASK:
        raise ConfigError(
            f"{show_value(value)} is no time to ask for: write {LEAST_ASK:g} s to {LONGEST_ASK / 60:g} min"
        )
    return seconds


def _read_pulses(value: object) -> object:
    if isinstance(value, bool):
        return {} if value else None
    if value is None or isinstance(value, BaseModel) or (isinstance(value, Mapping) and value):
        return value
    raise ConfigError(
        f"{show_value(value)} does not say which pulses: write true, or {{mean: 5 s, length: 50 ms}}"
    )


def _read_ibl(value: object) -> object:
    if isinstance(value, bool):
        return {} if value else None
    if value is None or isinstance(value, BaseModel | Mapping):
        return value
    raise ConfigError(
        f"{show_value(value)} does not say what the pipeline copies: write true, or {{device: video}}"
    )


def _check_device(device: str) -> str:
    if device == "behavior":
        raise ConfigError("behavior is the PC that runs the task: write video, ephys, or a name of your own")
    if not re.fullmatch("[A-Za-z0-9][A-Za-z0-9_-]{0,63}", device):
        raise ConfigError(
            f"{show_value(device)} cannot name a device: use letters, digits, '_' and '-', such as video"
        )
    return device


def _check_probe(probe: str) -> str:
    if not re.fullmatch("probe[0-9]{2}[a-z]?", probe):
        raise ConfigError(f"{show_value(probe)} is no probe as IBL counts them: write probe00, probe01")
    return probe


def _parse_stall(value: object) -> float | None:
    if value == NEVER:
        return None
    try:
        seconds = parse_duration(value)
    except ConfigError as error:
        raise ConfigError(f"{error}, or {NEVER}") from None
    if seconds < MIN_STALL:
        raise ConfigError(f"{show_value(value)} is too short: write at least {MIN_STALL:g} s, or {NEVER}")
    return seconds


NetworkText = Annotated[str, AfterValidator(_check_network)]
"""An IP address or a network, as a field of a pydantic model."""
Name = Annotated[str, AfterValidator(check_name)]
"""A rig's name, as a field of a pydantic model."""

_ListeningUri = Annotated[Uri, BeforeValidator(lambda value: Uri.parse(value, listening=True))]
PlacedPath = Annotated[Path, BeforeValidator(place)]
_EVERYWHERE = Uri("udp", "0.0.0.0", DEFAULT_PORT)
_PULSES_SCHEMA = {
    "anyOf": [
        {"type": "boolean"},
        {"type": "null"},
        {
            "type": "object",
            "properties": {
                "mean": {
                    **DURATION_SCHEMA,
                    "description": "From one pulse to the next, on average; 5 s without it.",
                },
                "length": {
                    **DURATION_SCHEMA,
                    "description": "For how long the line is high; 50 ms without it.",
                },
            },
            "additionalProperties": False,
        },
    ]
}
_STALL_SCHEMA = {"anyOf": [DURATION_SCHEMA, {"const": NEVER}]}
_LOST_SCHEMA = {
    "anyOf": [
        {"const": CONTINUE},
        {
            "type": "object",
            "properties": {
                "stop_after": {
                    **DURATION_SCHEMA,
                    "description": "How long the conductor may be silent before the recording is stopped.",
                }
            },
            "required": ["stop_after"],
            "additionalProperties": False,
        },
    ]
}
_TAKE_OVER_SCHEMA = {
    "anyOf": [
        {"enum": [REFUSE, ALLOW]},
        {
            "type": "object",
            "properties": {
                "ask": {
                    **DURATION_SCHEMA,
                    "description": "How long the person at the rig is asked; 30 s without it.",
                },
                "then": {
                    "enum": [REFUSE, ALLOW],
                    "description": "What is decided where nobody has answered; refuse without it.",
                },
            },
            "additionalProperties": False,
        },
    ]
}
_IBL_SCHEMA = {
    "anyOf": [
        {"type": "boolean"},
        {"type": "null"},
        {
            "type": "object",
            "properties": {
                "device": {
                    "type": "string",
                    "description": "As which device iblrig copies it; a camera rig is video.",
                },
                "server": {
                    "type": "string",
                    "description": "The server's data folder; without it, iblrig enters the session.",
                },
                "probes": {
                    "type": "array",
                    "items": {"type": "string"},
                    "description": "Names of Neuropixels probes.",
                },
            },
            "additionalProperties": False,
        },
    ]
}
_TEXT_OR_LIST = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}


# -- the tree ------------------------------------------------------------------------------------------------


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, defer_build=True)


class Limits(_Frozen):
    """Seconds that each step may take on this rig before it counts as failed."""

    initialise: Duration = 30.0
    """Open the program or device and check that it could record."""
    start: Duration = 30.0
    """Begin to record."""
    stop: Duration = 60.0
    """End the recording and close its files."""
    cleanup: Duration = 30.0
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


class LostConductor(_Frozen):
    """What becomes of a recording whose conductor is not heard any more: ``continue``, or ``stop_after``."""

    stop_after: Annotated[float | None, BeforeValidator(parse_duration)] = None
    """Seconds without a word of the conductor after which the recording is stopped; None: it goes on."""

    @model_serializer
    def _to_text(self) -> Any:
        return CONTINUE if self.stop_after is None else {"stop_after": self.stop_after}


class TakeOver(_Frozen):
    """Who decides where a PC wants this rig while its leader is heard: ``refuse``, ``allow``, or as below."""

    ask: Annotated[float | None, BeforeValidator(_parse_ask)] = 30.0
    """How long the person at the rig is asked; none: nobody is."""
    then: Literal["refuse", "allow"] = "refuse"
    """What is decided where nobody has answered by then, or nobody can."""

    @model_serializer
    def _to_text(self) -> Any:
        return self.then if self.ask is None else {"ask": self.ask, "then": self.then}


class SyncPulses(_Frozen):
    """Pulses on a line of this rig while it records, at random intervals; ``true``: as below."""

    mean: Duration = 5.0
    """How long it is on average from one pulse to the next; each interval is 0.5 to 1.5 times that."""
    length: Duration = 0.05
    """For how long the line is high."""

    @model_validator(mode="after")
    def _check_length(self) -> SyncPulses:
        longest = min(self.mean * MAX_DUTY, MAX_PULSE)
        if self.length > longest:
            raise ConfigError(
                f"length {self.length:g} s is too long for a pulse each {self.mean:g} s: "
                f"write at most {longest:g} s"
            )
        return self


class Description(_Frozen):
    """This rig's part of the experiment description, as IBL's files write it."""

    devices: dict[str, dict[str, dict[str, Any]]] = {}
    """By kind and label, what is known of a device (collection, sync_label); instead of the adapter's."""
    sync: dict[str, dict[str, Any]] = {}
    """On the main sync: what all else is aligned to, with collection, extension and acquisition_software."""

    @field_validator("sync")
    @classmethod
    def _check_sync(cls, sync: dict[str, Any]) -> dict[str, Any]:
        if len(sync) > 1:
            raise ConfigError(f"{' and '.join(sync)} cannot both be the sync: keep one")
        return sync


class Ibl(_Frozen):
    """What makes this rig one of IBL's pipeline: iblrig's ``transfer_data`` finds what it has recorded."""

    device: Annotated[str, AfterValidator(_check_device)] | None = None
    """As which device iblrig copies it: video, ephys, or a name of your own; a camera rig is video."""
    server: PlacedPath | None = None
    """The server's data folder, where a session is entered at once; without it, when it is copied."""
    probes: list[Annotated[str, AfterValidator(_check_probe)]] = []
    """Names of the Neuropixels probes that SpikeGLX records here, such as probe00, probe01."""

    @model_validator(mode="after")
    def _check_probes(self) -> Ibl:
        if self.probes and self.device != "ephys":
            raise ConfigError("probes are of an ephys rig: write device: ephys beside them")
        return self


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
    data_folder: PlacedPath
    """Folder on this PC below which the sessions are written; relative to this file, ~ is your home."""
    lab: Annotated[str, AfterValidator(check_lab)] = "mylab"
    """Name of the lab: the folder between the data folder and Subjects."""
    adapter: AdapterConfig
    """What the rig drives, and how."""
    allow_ibl: list[NetworkText] = []
    """IP addresses and networks whose computers may lead this rig on IBL's wire, which has no keys."""
    open: Annotated[bool, Field(strict=True)] = False
    """Whether every computer that can reach this rig may command it, without a key."""
    alyx_token_to: list[Annotated[str, AfterValidator(_check_token_holder)]] = []
    """Who may be given the Alyx token: names of PCs of the lab that lead, IP addresses of peers of IBL's."""
    log_folder: PlacedPath | None = None
    """Folder for this rig's log files; relative to this file; without it, the user's log folder."""
    limits: Limits = Limits()
    """Seconds that each step may take."""
    on_lost_conductor: Annotated[
        LostConductor,
        Field(json_schema_extra={"default": CONTINUE}),
        BeforeValidator(_read_lost),
        WithJsonSchema(_LOST_SCHEMA),
    ] = LostConductor()
    """What becomes of a recording whose conductor is not heard any more."""
    take_over: Annotated[
        TakeOver,
        Field(json_schema_extra={"default": {"ask": "30 s", "then": REFUSE}}),
        BeforeValidator(_read_take_over),
        WithJsonSchema(_TAKE_OVER_SCHEMA),
    ] = TakeOver()
    """Who decides where another PC wants to lead this rig while its leader is heard."""
    stall_after: Annotated[
        float | None,
        BeforeValidator(_parse_stall),
        PlainSerializer(lambda seconds: NEVER if seconds is None else seconds),
        WithJsonSchema(_STALL_SCHEMA),
    ] = 10.0
    """How long a recording may not grow before the operator is told; never switches it off."""
    sync_pulses: Annotated[
        SyncPulses | None, BeforeValidator(_read_pulses), WithJsonSchema(_PULSES_SCHEMA)
    ] = None
    """Whether this rig gives sync pulses while it records: true, or how often and for how long."""
    clock_port: Annotated[int, Field(ge=0, le=65535)] = 0
    """UDP port at which the leading PC measures this PC's clock, for firewalls; 0: any that is free."""
    expect: Expect = Expect()
    """What is expected of each camera or table of this rig; a camera may have an ``expect`` of its own."""
    experiment_description: Description = Description()
    """This rig's part of the experiment description, where the adapter does not know it."""
    ibl: Annotated[Ibl | None, BeforeValidator(_read_ibl), WithJsonSchema(_IBL_SCHEMA)] = None
    """Whether IBL's pipeline copies what this rig records: true, or as what and to which server."""

    @model_validator(mode="before")
    @classmethod
    def _check_old_keys(cls, content: Any) -> Any:
        for key in ("allow", "allow_any"):
            if isinstance(content, Mapping) and key in content:
                raise ConfigError(
                    f"{key} is not used any more: PCs of the lab are known by their keys (multirig key "
                    "join). For computers that speak IBL's wire write allow_ibl: [192.168.1.20]; to let in "
                    "everybody, as multirig 0.1 did, write open: true"
                )
        return content

    @model_validator(mode="after")
    def _check_ibl(self) -> RigConfig:
        if self.ibl is not None and self.ibl.device is None and self.adapter.type != "camera":
            raise ConfigError("ibl: say as which device iblrig copies this rig: device: ephys, for example")
        return self

    @model_validator(mode="after")
    def _check_description(self) -> RigConfig:
        if self.experiment_description.sync and not self.main_sync:
            raise ConfigError(
                "experiment_description.sync is for the main sync only: write main_sync: true, or take it out"
            )
        return self


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
    return parse_rig_config(read_text(path), path)


def parse_rig_config(text: str, path: Path) -> RigConfig:
    """Check what stands in a rig's file, or shall stand there; see `load_rig_config`."""
    content = parse_pairs(text, path, example="name: cameras")
    if not content:
        raise ConfigError(f"{path}: the file is empty: write at least name, data_folder and adapter")
    try:
        return RigConfig.model_validate(content, context={"folder": path.absolute().parent})
    except ValidationError as error:
        raise ConfigError(explain(error, path, model=RigConfig)) from error


def rig_config_schema() -> dict[str, Any]:
    """Return the JSON schema of a rig's configuration, for editors and the docs."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **RigConfig.model_json_schema()}
