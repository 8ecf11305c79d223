"""Experiment descriptions: how the parts of several PCs become one."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from multirig.errors import ConfigError
from multirig.ibl import description
from multirig.ibl.bunch import bunched
from multirig.ibl.task_description import describe_task

NIDQ = {"nidq": {"collection": "raw_ephys_data", "extension": "bin", "acquisition_software": "spikeglx"}}
BPOD = {"bpod": {"collection": "raw_task_data_00"}}
LEFT = {"devices": {"cameras": {"left": {"collection": "raw_video_data", "sync_label": "audio"}}}}
RIGHT = {"devices": {"cameras": {"right": {"collection": "raw_video_data", "sync_label": "audio"}}}}
PROBE = {"devices": {"neuropixel": {"probe00": {"collection": "raw_ephys_data/probe00"}}}, "sync": NIDQ}


def test_devices_are_merged_kind_by_kind_and_label_by_label():
    whole = description.merge_all({"cam1": LEFT, "cam2": RIGHT, "ephys": PROBE})
    assert set(whole["devices"]) == {"cameras", "neuropixel"}
    assert set(whole["devices"]["cameras"]) == {"left", "right"}
    assert whole["sync"] == NIDQ
    assert whole["version"] == "1.0.0"


def test_procedures_and_projects_are_united_in_order_without_doubles():
    whole = description.merge_all(
        {
            "this PC": {"procedures": ["b", "a"], "projects": ["p"]},
            "ephys": {"procedures": ["c", "a", "c"], "projects": None},
        }
    )
    assert whole["procedures"] == ["b", "a", "c"]
    assert whole["projects"] == ["p"]


def test_tasks_are_appended_and_the_same_one_is_not_there_twice():
    first = {"tasks": [{"a": {"collection": "raw_task_data_00"}}]}
    second = {"tasks": [{"a": {"collection": "raw_task_data_01"}}]}
    whole = description.merge_all({"1": first, "2": second, "3": first})
    assert whole["tasks"] == [*first["tasks"], *second["tasks"]]


def test_tasks_as_they_were_before_version_1_are_understood():
    whole = description.merge({}, {"tasks": {"a": {"collection": "x"}}, "version": "0.1.0"}, "old")
    assert whole["tasks"] == [{"a": {"collection": "x"}}]
    assert whole["version"] == "1.0.0"


def test_two_different_syncs_are_an_error_that_names_both_and_both_pcs():
    with pytest.raises(ConfigError) as caught:
        description.merge_all({"this PC": {"sync": BPOD}, "cameras": LEFT, "ephys": {"sync": NIDQ}})
    for word in ("bpod on this PC", "nidq on ephys", "two syncs"):
        assert word in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_two_syncs_of_one_name_that_say_different_things_are_two_syncs():
    with pytest.raises(ConfigError, match="two syncs"):
        description.merge_all({"a": {"sync": NIDQ}, "b": {"sync": {"nidq": {"collection": "elsewhere"}}}})


def test_the_same_sync_twice_and_an_empty_one_are_one_sync():
    whole = description.merge_all({"a": {"sync": NIDQ}, "b": {"sync": NIDQ}, "c": {"sync": {}}})
    assert whole["sync"] == NIDQ


def test_contradictions_about_one_device_name_both_pcs_and_the_key():
    other = {"devices": {"cameras": {"left": {"collection": "elsewhere"}}}}
    with pytest.raises(ConfigError) as caught:
        description.merge_all({"this PC": RIGHT, "cam1": LEFT, "cam2": other})
    for word in ("cam1 and cam2", "devices.cameras.left.collection", "'raw_video_data'", "'elsewhere'"):
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_label_that_was_added_later_is_blamed_on_who_added_it():
    other = {"devices": {"cameras": {"right": {"collection": "elsewhere"}}}}
    with pytest.raises(ConfigError, match="cam2 and cam3 contradict"):
        description.merge_all({"cam1": LEFT, "cam2": RIGHT, "cam3": other})


def test_two_pcs_may_each_know_a_part_of_one_device():
    more = {"devices": {"cameras": {"left": {"fps": 60}}}}
    whole = description.merge_all({"a": LEFT, "b": more})
    assert whole["devices"]["cameras"]["left"]["fps"] == 60
    assert whole["devices"]["cameras"]["left"]["sync_label"] == "audio"


def test_one_pc_may_change_its_mind():
    news = {"devices": {"cameras": {"left": {"collection": "elsewhere"}}}}
    whole = description.merge(deepcopy(LEFT), news, description.HERE)
    assert whole["devices"]["cameras"]["left"]["collection"] == "elsewhere"


def test_a_part_that_contradicts_leaves_the_whole_as_it_was():
    whole = description.merge({}, {"projects": ["p"], "sync": BPOD}, "a")
    before = deepcopy(whole)
    with pytest.raises(ConfigError):
        description.merge(whole, {"projects": ["q"], "sync": NIDQ}, "b")
    assert whole == before


def test_merging_changes_the_whole_in_place_and_never_the_part():
    whole: dict[str, Any] = {}
    part = deepcopy(PROBE)
    assert description.merge(whole, part, "ephys") is whole
    whole["devices"]["neuropixel"]["probe00"]["collection"] = "changed"
    assert part == PROBE


@pytest.mark.parametrize("part", [None, {}])
def test_no_part_is_no_change(part):
    assert description.merge({"projects": ["p"]}, part, "cameras") == {"projects": ["p"]}


@pytest.mark.parametrize(
    "part", [[1], {"procedures": "a"}, {"devices": ["left"]}, {"devices": {"cameras": 3}}]
)
def test_what_is_no_description_names_who_sent_it(part):
    with pytest.raises(ConfigError, match="cameras: "):
        description.merge({}, part, "cameras")


def test_of_other_keys_the_newest_value_stands():
    whole = description.merge_all(
        {"a": {"remote_rigs": {"x": "udp://1"}}, "b": {"remote_rigs": {"x": "udp://2"}}}
    )
    assert whole["remote_rigs"] == {"x": "udp://2"}


def test_what_was_written_is_read_again_from_the_file_and_from_its_folder(tmp_path: Path):
    path = description.write(tmp_path, bunched(PROBE))
    assert path == tmp_path / "_ibl_experiment.description.yaml"
    assert description.read(path) == description.read(tmp_path) == {**PROBE, "version": "1.0.0"}
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_a_missing_description_is_an_error_that_names_it(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"stub\.yaml: there is no such file"):
        description.read(tmp_path / "stub.yaml")


def test_a_description_that_cannot_be_written_leaves_the_old_one(tmp_path: Path):
    path = description.write(tmp_path, LEFT)
    (tmp_path / f".{path.name}.new").mkdir()
    with pytest.raises(ConfigError, match="cannot be written"):
        description.write(tmp_path, RIGHT)
    assert description.read(path)["devices"] == LEFT["devices"]


# -- a task's own part ------------------------------------------------------------------------------------


def test_a_task_describes_itself_its_devices_projects_and_procedures():
    whole = describe_task(
        "spontaneous",
        "raw_task_data_00",
        ["Behavior training/tasks"],
        ["p"],
        {"device_cameras": {"left": {"BONSAI_WORKFLOW": "x"}, "off": None}, "device_microphone": {"W": "x"}},
        extractors=["TrialRegisterRaw"],
    )
    assert whole == {
        "version": "1.0.0",
        "devices": {
            "cameras": {"left": {"collection": "raw_video_data", "sync_label": "audio"}},
            "microphone": {"microphone": {"collection": "raw_task_data_00", "sync_label": "audio"}},
        },
        "procedures": ["Behavior training/tasks"],
        "projects": ["p"],
        "tasks": [
            {
                "spontaneous": {
                    "collection": "raw_task_data_00",
                    "sync_label": "multirig",
                    "extractors": ["TrialRegisterRaw"],
                }
            }
        ],
    }


def test_the_main_sync_describes_its_sync_by_what_keeps_the_time():
    plain = describe_task("t", "raw_task_data_00", hardware_settings={"MAIN_SYNC": True})
    assert plain["sync"]["multirig"]["collection"] == "raw_task_data_00"
    bpod = describe_task("t", "c", hardware_settings={"MAIN_SYNC": True, "device_bpod": {"COM_BPOD": "COM3"}})
    assert bpod["sync"]["bpod"]["acquisition_software"] == "pybpod"
    assert bpod["tasks"][0]["t"]["sync_label"] == "bpod"


def test_cameras_may_stand_in_named_configurations():
    cameras = {
        "default": {"BONSAI_WORKFLOW": {"setup": "x"}, "left": {"INDEX": 1, "SYNC_LABEL": "frame2ttl"}},
        "ephys": {"right": {"INDEX": 2}},
    }
    first = describe_task("t", "c", hardware_settings={"device_cameras": cameras})
    assert first["devices"]["cameras"] == {
        "left": {"collection": "raw_video_data", "sync_label": "frame2ttl"}
    }
    other = describe_task("t", "c", hardware_settings={"device_cameras": cameras}, camera_config="ephys")
    assert set(other["devices"]["cameras"]) == {"right"}
    with pytest.raises(ConfigError, match="default, ephys"):
        describe_task("t", "c", hardware_settings={"device_cameras": cameras}, camera_config="none")


def test_a_stub_comes_first_and_its_sync_stands(tmp_path: Path):
    stub = description.write(
        tmp_path, {"sync": NIDQ, "projects": ["q"], "tasks": [{"a": {"collection": "x"}}]}
    )
    whole = describe_task("b", "y", None, ["p", "q"], {"MAIN_SYNC": True}, stub)
    assert whole["sync"] == NIDQ
    assert whole["projects"] == ["q", "p"]
    assert [next(iter(task)) for task in whole["tasks"]] == ["a", "b"]


@pytest.mark.parametrize("wrong", [{"extractors": "X"}, {"procedures": "a"}, {"projects": "p"}])
def test_a_text_where_a_list_is_needed_is_refused(wrong):
    with pytest.raises(ConfigError, match=f"{next(iter(wrong))} are .*: give a list"):
        describe_task("t", "c", **wrong)
