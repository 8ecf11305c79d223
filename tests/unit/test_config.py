import copy
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import ConfigDict, Discriminator, Tag, TypeAdapter, ValidationError

from multirig.config import (
    AdapterConfig,
    Limits,
    LostConductor,
    RigConfig,
    SyncPulses,
    TakeOver,
    Uri,
    explain,
    load_conductor_config,
    load_rig_config,
    rig_config_schema,
)
from multirig.errors import ConfigError

EXAMPLE = """\
name: cameras
uri: udp://0.0.0.0:11001        # or a list; tcp://…, [::]
main_sync: false
data_folder: ./data
adapter: {type: camera, cameras: [{label: left, source: test, fps: 60, size: [640, 480]}]}
"""
SMALL = "name: cameras\ndata_folder: ./data\nadapter: {type: camera}\n"


@pytest.fixture
def load(tmp_path):
    def load(content):
        path = tmp_path / "rig.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return load_rig_config(path)

    return load


def refusal(load, content, tmp_path):
    with pytest.raises(ConfigError) as caught:
        load(content)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    file = f"{tmp_path / 'rig.yaml'}: "
    assert message.startswith(file)
    return message.removeprefix(file)


def test_the_example_reads_as_it_is_meant(load, tmp_path):
    config = load(EXAMPLE)
    assert config.name == "cameras"
    assert config.uri == [Uri("udp", "0.0.0.0", 11001)]
    assert config.main_sync is False
    assert config.data_folder == tmp_path / "data"
    assert config.adapter.type == "camera"
    assert config.adapter.options == {
        "cameras": [{"label": "left", "source": "test", "fps": 60, "size": [640, 480]}]
    }


def test_a_small_file_has_defaults_for_everything_else(load):
    config = load(SMALL)
    assert config.uri == [Uri("udp", "0.0.0.0", 11001)]
    assert config.lab == "mylab"
    assert (config.allow_ibl, config.open, config.alyx_token_to) == ([], False, [])
    assert config.log_folder is None
    assert config.clock_port == 0
    assert config.limits == Limits(initialise=30, start=30, stop=60, cleanup=30)
    assert config.on_lost_conductor.stop_after is None
    assert config.stall_after == 10
    assert (config.take_over.ask, config.take_over.then) == (30, "refuse")


def test_who_decides_on_a_take_over_is_chosen(load):
    for word in ("refuse", "allow"):
        config = load(SMALL + f"take_over: {word}\n")
        assert (config.take_over.ask, config.take_over.then) == (None, word)
        assert RigConfig.model_validate_json(config.model_dump_json()) == config
    config = load(SMALL + "take_over: {ask: 1 min, then: allow}\n")
    assert config.take_over == TakeOver(ask=60, then="allow")
    assert RigConfig.model_validate_json(config.model_dump_json()) == config
    assert load(SMALL + "take_over: {then: allow}\n").take_over == TakeOver(ask=30, then="allow")


def test_sync_pulses_are_turned_on_as_they_are_or_as_they_are_wanted(load):
    assert load(SMALL).sync_pulses is None
    assert load(SMALL + "sync_pulses: false\n").sync_pulses is None
    assert load(SMALL + "sync_pulses: true\n").sync_pulses == SyncPulses(mean=5, length=0.05)
    config = load(SMALL + "sync_pulses: {mean: 2 s, length: 20 ms}\n")
    assert config.sync_pulses == SyncPulses(mean=2, length=0.02)
    assert RigConfig.model_validate_json(config.model_dump_json()) == config


def test_what_becomes_of_a_recording_without_its_conductor_is_chosen(load):
    assert load(SMALL + "on_lost_conductor: continue\n").on_lost_conductor == LostConductor()
    config = load(SMALL + "on_lost_conductor:\n  stop_after: 10 min\n")
    assert config.on_lost_conductor.stop_after == 600
    assert RigConfig.model_validate_json(config.model_dump_json()) == config


def test_how_long_a_recording_may_stand_still_is_chosen_or_does_not_matter(load):
    assert load(SMALL + "stall_after: 1.5 min\n").stall_after == 90
    config = load(SMALL + "stall_after: never\n")
    assert config.stall_after is None
    assert RigConfig.model_validate_json(config.model_dump_json()) == config


def test_a_limit_may_have_a_unit(load):
    assert load(SMALL + "limits: {initialise: 2 min, stop: '90'}\n").limits == Limits(initialise=120, stop=90)


def test_every_key_can_be_given(load, tmp_path):
    config = load(
        SMALL + "uri: [udp://0.0.0.0:0, 'tcp://[::]:11001']\nmain_sync: true\nlab: cortexlab\nopen: false\n"
        "allow_ibl: [192.0.2.7, 198.51.100.0/24, '2001:db8::/32']\nalyx_token_to: [192.0.2.7, behaviour-pc]\n"
        "log_folder: logs\nlimits: {stop: 5, start: 0.5}\n"
        "experiment_description: {sync: {nidq: {collection: raw_ephys_data}}}\n"
    )
    assert config.uri == [Uri("udp", "0.0.0.0", 0), Uri("tcp", "::", 11001)]
    assert config.main_sync is True
    assert config.lab == "cortexlab"
    assert config.allow_ibl == ["192.0.2.7", "198.51.100.0/24", "2001:db8::/32"]
    assert config.alyx_token_to == ["192.0.2.7", "behaviour-pc"]
    assert config.log_folder == tmp_path / "logs"
    assert config.limits == Limits(start=0.5, stop=5)
    assert config.experiment_description.sync == {"nidq": {"collection": "raw_ephys_data"}}
    assert config.experiment_description.devices == {}


def test_paths_are_relative_to_the_file_and_know_the_home_folder(tmp_path, monkeypatch, load):
    load(SMALL)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path.parent)
    relative = Path(tmp_path.name) / "rig.yaml"
    assert load_rig_config(relative).data_folder == tmp_path / "data"
    assert load(SMALL.replace("./data", "~/data")).data_folder == tmp_path / "home" / "data"
    (tmp_path / "rig.yaml").rename(tmp_path / "home.yaml")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert load_rig_config("~/home.yaml").name == "cameras"
    absolute = tmp_path / "elsewhere"
    assert load(SMALL.replace("./data", f"'{absolute}'")).data_folder == absolute
    assert load(SMALL.replace("./data", ".")).data_folder == tmp_path


def test_the_byte_order_mark_and_line_ends_of_windows_are_fine(load):
    assert load(b"\xef\xbb\xbf" + SMALL.replace("\n", "\r\n").encode()).name == "cameras"


def test_the_adapter_keeps_its_own_keys():
    config = AdapterConfig.model_validate({"type": "camera", "options": 1, "fps": 60})
    assert config.options == {"options": 1, "fps": 60}
    assert config.model_dump() == {"type": "camera", "options": 1, "fps": 60}


def test_a_configuration_is_frozen_and_survives_json(load):
    config = load(EXAMPLE)
    with pytest.raises(ValidationError, match="frozen"):
        config.name = "other"
    assert RigConfig.model_validate_json(config.model_dump_json()) == config
    assert copy.deepcopy(config) == config


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("", ["is empty", "write at least name, data_folder and adapter"]),
        ("# only a comment\n", ["is empty"]),
        ("- cameras\n", ["the file holds a list", "write key: value lines"]),
        ("cameras\n", ["the file holds 'cameras'"]),
        ("name: a: b\n", ["line 1, column 8", "not YAML", "correct that line"]),
        ("name: a\n\tlab: b\n", ["line 2, column 1", "not YAML"]),
        ("name: [a\n", ["line 2, column 1", "not YAML"]),
        ("a: 1\n---\nb: 2\n", ["line 2, column 1", "another document"]),
        ("a: *nowhere\n", ["line 1, column 4", "undefined alias"]),
        ("a: !!python/object:os.system {}\n", ["line 1, column 4", "not YAML"]),
        ("name: a\nlab: b\nname: c\n", ["line 3, column 1", "the key 'name' is given twice", "keep one"]),
        ("name: a\nlab: \x00\n", ["line 2, column 6", "0x0000", "delete it"]),
        (b"name: \xff\xfe\n", ["not UTF-8", "save it as UTF-8"]),
        ("[]\n", ["the file holds an empty list"]),
        ("false\n", ["the file holds false"]),
        ("0\n", ["the file holds 0"]),
        ("''\n", ["the file holds ''"]),
        ("[" * 5000, ["not YAML"]),
        ('data_folder: "C:\\data"\n', ["line 1, column 18", "double quotes", "single quotes"]),
        (SMALL.replace("./data", '"C:\\temp"'), ["data_folder", "tab", "single quotes"]),
        (SMALL + "limits: {strat: 3}\n", ["limits.strat is not a key", "did you mean 'start'?", "cleanup"]),
        (SMALL.replace("data_folder", "data_foldr"), ["data_foldr", "did you mean 'data_folder'?", "1 more"]),
        (SMALL + "xyzzy: 1\n", ["xyzzy is not a key", "the keys are name, uri"]),
        (SMALL + "true: 1\n", ["the key true", "put it in quotes"]),
        (SMALL + "limits: {5: 1}\n", ["limits has the key 5", "put it in quotes"]),
        (SMALL.replace("name: cameras\n", ""), ["name is missing", "add it", "cameras:left"]),
        (SMALL.replace("type: camera", "tpye: camera"), ["adapter.type is missing", "add it"]),
        (SMALL.replace("{type: camera}", "camera"), ["adapter is 'camera'", "give key: value pairs"]),
        (SMALL.replace("cameras", ""), ["name is empty", "give text"]),
        (SMALL.replace("cameras", "5"), ["name is 5", "give text, in quotes"]),
        (SMALL.replace("cameras", "left/right"), ["name", "cannot name a rig", "without slashes"]),
        (SMALL.replace("cameras", "left\\right"), ["name", "cannot name a rig"]),
        (SMALL.replace("cameras", '"a\\nb"'), ["name", "cannot name a rig"]),
        (SMALL.replace("cameras", "a" * 65), ["name", "1 to 64 characters"]),
        (SMALL.replace("./data", "''"), ["data_folder", "the path is empty", "write a folder"]),
        (SMALL.replace("./data", "3"), ["data_folder is 3", "give a folder"]),
        (SMALL.replace("./data", "~no_such_user/x"), ["data_folder", "home folder", "write the whole path"]),
        (SMALL + "lab: a/b\n", ["lab", "cannot name a folder", "use letters"]),
        (SMALL + "lab: ..\n", ["lab", "cannot name a folder"]),
        (SMALL + "uri: udp://x:99999\n", ["uri: ", "the port 99999", "write udp://host:11001"]),
        (SMALL + "uri: [udp://a, http://b]\n", ["uri[1]: ", "the scheme 'http'"]),
        (SMALL + "uri: []\n", ["uri is an empty list", "give at least 1"]),
        (SMALL + "uri: [udp://a, A]\n", ["uri: udp://a:11001 stands there twice", "keep one"]),
        (SMALL + "uri: {host: a}\n", ["uri: a mapping is not an address"]),
        (SMALL + "main_sync: 'yes'\n", ["main_sync is 'yes'", "give true or false"]),
        (SMALL + "allow_ibl: 10.0.0.0/8\n", ["allow_ibl is '10.0.0.0/8'", "give a list"]),
        (
            SMALL + "allow_ibl: [rig.lab]\n",
            ["allow_ibl[0]", "not an IP address or network", "write 192.168.1.20"],
        ),
        (SMALL + "allow_ibl: [10.0.0.5/8]\n", ["allow_ibl[0]", "write 10.0.0.5 or 10.0.0.0/8"]),
        (SMALL + "allow: [10.0.0.5]\n", ["allow is not used any more", "multirig key join", "allow_ibl"]),
        (SMALL + "allow_any: true\n", ["allow_any is not used any more", "open: true"]),
        (SMALL + "alyx_token_to: [10.0.0.0/8]\n", ["alyx_token_to[0]", "write 192.168.1.20"]),
        (SMALL + "alyx_token_to: [192.168.1]\n", ["alyx_token_to[0]", "neither an IP address nor the name"]),
        (SMALL + "limits: {start: -3}\n", ["limits.start: -3 is no time to wait", "write seconds"]),
        (SMALL + "limits: {start: 0}\n", ["limits.start: 0 is no time to wait", "write seconds"]),
        (SMALL + "limits: {start: .inf}\n", ["limits.start: inf is no time to wait", "write seconds"]),
        (SMALL + "limits: {start: 1:30}\n", ["'1:30' can be read in two ways", "write 90 s, or 90 min"]),
        (SMALL + "on_lost_conductor: {stop_after: 1:30}\n", ["stop_after: '1:30' can be read in two ways"]),
        (SMALL + "clock_port: 0o17\n", ["clock_port is '0o17'", "give a whole number"]),
        (SMALL + "main_sync: on\n", ["main_sync is 'on'", "give true or false"]),
        (SMALL.replace("cameras", "null"), ["name is empty", "give text, in quotes"]),
        (SMALL + "limits: {start: soon}\n", ["limits.start: 'soon' is not a duration", "10 min"]),
        (SMALL + "limits: {start: true}\n", ["limits.start: true is not a duration", "10 min"]),
        (SMALL + "on_lost_conductor:\n", ["on_lost_conductor: empty", "continue, or {stop_after: 10 min}"]),
        (SMALL + "on_lost_conductor: stop\n", ["on_lost_conductor: 'stop'", "write continue, or"]),
        (SMALL + "on_lost_conductor: {}\n", ["on_lost_conductor: a mapping", "write continue, or"]),
        (SMALL + "take_over: yes\n", ["take_over", "does not say who decides", "or refuse or allow"]),
        (SMALL + "take_over:\n", ["take_over: empty", "write {ask: 30 s, then: refuse}"]),
        (SMALL + "take_over: {ask: 1 s}\n", ["take_over.ask: '1 s' is no time", "write 5 s to 5 min"]),
        (SMALL + "take_over: {ask: 1 h}\n", ["take_over.ask: '1 h' is no time", "write 5 s to 5 min"]),
        (SMALL + "take_over: {then: maybe}\n", ["take_over.then is 'maybe'", "'refuse' or 'allow'"]),
        (SMALL + "take_over: {aks: 9 s}\n", ["take_over.aks is not a key", "did you mean 'ask'?"]),
        (
            SMALL + "on_lost_conductor: {stop_aftr: 3}\n",
            ["on_lost_conductor.stop_aftr is not a key", "did you mean 'stop_after'?"],
        ),
        (
            SMALL + "on_lost_conductor: {stop_after: 10 mins}\n",
            ["on_lost_conductor.stop_after: '10 mins' is not a duration", "10 min"],
        ),
        (SMALL + "on_lost_conductor: {stop_after: }\n", ["on_lost_conductor.stop_after: empty is not"]),
        (
            SMALL + "sync_pulses: often\n",
            ["sync_pulses: 'often'", "true, or {mean: 5 s, length: 50 ms}"],
        ),
        (SMALL + "sync_pulses: {}\n", ["sync_pulses: a mapping", "write true, or"]),
        (SMALL + "sync_pulses: {mean: 1 s, length: 1 s}\n", ["length 1 s is too long", "at most 0.25 s"]),
        (SMALL + "sync_pulses: {mean: 1 h, length: 2 s}\n", ["length 2 s is too long", "at most 1 s"]),
        (SMALL + "stall_after: 0.5\n", ["stall_after: 0.5 is too short", "write at least 1 s, or never"]),
        (SMALL + "stall_after: no\n", ["stall_after: 'no' is not a duration", "or never"]),
        (SMALL + "stall_after:\n", ["stall_after: empty is not a duration", "or never"]),
        (SMALL + "limits:\n", ["limits is empty", "give key: value pairs"]),
        (
            SMALL + "main_sync: true\nexperiment_description: {sync: {bpod: {}, nidq: {}}}\n",
            ["experiment_description.sync: bpod and nidq cannot both be the sync", "keep one"],
        ),
        (
            SMALL + "experiment_description: {sync: {nidq: {}}}\n",
            [
                "experiment_description.sync is for the main sync only",
                "write main_sync: true, or take it out",
            ],
        ),
        (
            SMALL + "experiment_description: {devices: {cameras: [left]}}\n",
            ["experiment_description.devices.cameras is a list", "give key: value pairs"],
        ),
        (
            SMALL + "experiment_description: {device: {}}\n",
            ["experiment_description.device is not a key", "did you mean 'devices'?"],
        ),
    ],
)
def test_a_bad_file_is_refused_in_one_line_with_file_key_and_next_action(load, tmp_path, content, parts):
    message = refusal(load, content, tmp_path)
    for part in parts:
        assert part in message


def test_a_missing_file_and_a_folder_are_refused_by_name(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: there is no such file: check the path"):
        load_rig_config(tmp_path / "nowhere.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_rig_config(tmp_path)


def test_a_key_that_comes_in_by_a_merge_is_not_given_twice(load):
    shared = "adapter: {type: fake, inner: &inner {x: 1}, outer: {<<: *inner, x: 2}}\n"
    config = load(SMALL.replace("adapter: {type: camera}\n", shared))
    assert config.adapter.options["outer"] == {"x": 2}


def test_the_schema_describes_each_key():
    schema = rig_config_schema()
    json.dumps(schema)
    assert set(schema["properties"]) == set(RigConfig.model_fields)
    for part in (schema, *schema["$defs"].values()):
        assert all(key["description"] for key in part["properties"].values())
    assert schema["properties"]["uri"]["default"] == "udp://0.0.0.0:11001"
    assert schema["properties"]["on_lost_conductor"]["default"] == "continue"
    assert schema["required"] == ["name", "data_folder", "adapter"]


@dataclass(kw_only=True)
class Camera:
    __pydantic_config__ = ConfigDict(extra="forbid")

    label: str
    """Which camera."""
    fps: int | None = 30
    size: tuple[int, int] | Literal["full"] = "full"


@dataclass(kw_only=True)
class ByUdp:
    __pydantic_config__ = ConfigDict(extra="forbid")

    udp: str
    port: int
    args: list[int | str] = field(default_factory=list)


@dataclass(kw_only=True)
class ByText:
    __pydantic_config__ = ConfigDict(extra="forbid")

    text: list[int | str]


StopBy = Annotated[
    Annotated[ByUdp, Tag("udp")] | Annotated[ByText, Tag("text")],
    Discriminator(lambda value: "udp" if "udp" in value else "text"),
]


@dataclass(kw_only=True)
class Options:
    __pydantic_config__ = ConfigDict(extra="forbid")

    cameras: list[Camera] = field(default_factory=list)
    delays: dict[Literal["start", "stop"], float] = field(default_factory=dict)
    stop_by: StopBy | None = None

    def __post_init__(self):
        if self.delays.get("start") == 13:
            raise ConfigError("delays: 13 brings bad luck: give another number")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {"cameras": [{"label": "left"}, {"label": "right", "fsp": 3}]},
            "adapter.cameras[1].fsp is not a key that exists: "
            "did you mean 'fps'? The keys are label, fps, size",
        ),
        ({"cameras": [{}]}, "adapter.cameras[0].label is missing: add it"),
        ({"cameras": [{"label": "a", "fps": "x"}]}, "adapter.cameras[0].fps is 'x': give a whole number"),
        (
            {"cameras": [{"label": "a", "size": "big"}]},
            "adapter.cameras[0].size is 'big': give a list, such as [a, b] or 'full'",
        ),
        (
            {"cameras": [{"label": "a", "size": [1, "x"]}]},
            "adapter.cameras[0].size[1] is 'x': give a whole number; and 1 more problem",
        ),
        ({"cameras": ["left"]}, "adapter.cameras[0] is 'left': give key: value pairs"),
        ({"delays": {"begin": 1}}, "adapter.delays.begin is not a key that fits: give 'start' or 'stop'"),
        ({"delays": {"start": "x" * 99}}, f"adapter.delays.start is '{'x' * 38}…: give a number"),
        ({"delays": {"start": 13}}, "adapter: delays: 13 brings bad luck: give another number"),
        ({"stop_by": {"udp": "a", "port": "x"}}, "adapter.stop_by.port is 'x': give a whole number"),
        ({"stop_by": {"udp": "a"}}, "adapter.stop_by.port is missing: add it"),
        (
            {"stop_by": {"udp": "a", "prt": 1, "port": 1}},
            "adapter.stop_by.prt is not a key that exists: "
            "did you mean 'port'? The keys are udp, port, args, text",
        ),
        (
            {"stop_by": {"udp": "a", "port": 1, "args": [1, None]}},
            "adapter.stop_by.args[1] is empty: give a whole number or text, "
            "in quotes if it looks like a number, a date or yes/no",
        ),
        (
            {"stop_by": {"udp": "a", "port": "rtsp://admin:a-password-of-some-forty-signs-and-more@lab"}},
            "adapter.stop_by.port is 'rtsp://***@lab': give a whole number",
        ),
        ({5: 1}, "adapter has the key 5, which is not text: put it in quotes"),
        ([1], "adapter is a list: give key: value pairs"),
    ],
)
def test_an_adapters_own_keys_are_explained_as_an_operator_writes_them(options, expected):
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Options).validate_python(options)
    assert explain(caught.value, "rig.yaml", prefix="adapter", model=Options) == f"rig.yaml: {expected}"


def test_without_the_model_the_explanation_has_no_suggestions():
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Options).validate_python({"camera": []})
    assert explain(caught.value, "rig.yaml") == "rig.yaml: camera is not a key that exists"


@pytest.mark.parametrize(
    "text", ["001", "1e5", "no", "off", "0o17", "1_000", "2026-03-04", "1:30", "1.50", "="]
)
def test_what_is_text_to_a_person_is_text(load, tmp_path, text):
    assert load(SMALL.replace("cameras", text)).name == text
    (tmp_path / "multirig.yaml").write_text(f"console: {{subjects: [{text}, SP_01], projects: {text}}}\n")
    rules = load_conductor_config(tmp_path / "remote_rigs.yaml").console
    assert rules.subjects == (text, "SP_01")
    assert rules.projects == (text,)


def test_an_animal_may_be_called_by_a_number(tmp_path):
    (tmp_path / "multirig.yaml").write_text("console: {subjects: [123, 7], projects: 5}\n")
    rules = load_conductor_config(tmp_path / "remote_rigs.yaml").console
    assert rules.subjects == ("123", "7")
    assert rules.projects == ("5",)


@pytest.mark.parametrize(
    ("text", "number"), [("90", 90), ("090", 90), ("1.50", 1.5), ("0.5", 0.5), ("30.0", 30), ("'7'", 7)]
)
def test_a_number_is_what_a_person_reads(load, text, number):
    assert load(SMALL + f"limits: {{start: {text}}}\n").limits.start == number


def test_a_tilde_is_the_home_folder(load, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert load(SMALL.replace("./data", "~")).data_folder == tmp_path
