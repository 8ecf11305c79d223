"""The settings of a PC: files, defaults, overrides, and what is wrong with them."""

import socket
from pathlib import Path

import pytest

from multirig.errors import ConfigError
from multirig.ibl.settings import (
    VARIABLE,
    load_hardware_settings,
    load_iblrig_settings,
    settings_folder,
    subjects_folders,
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    return tmp_path


def test_without_files_the_defaults_hold():
    hardware, settings = load_hardware_settings(), load_iblrig_settings()
    assert hardware == {"RIG_NAME": socket.gethostname(), "MAIN_SYNC": False}
    assert settings.iblrig_local_data_path == Path.home() / "multirig_data"
    assert settings.ALYX_LAB == "mylab"
    assert settings.ALYX_URL is settings.ALYX_USER is settings.iblrig_remote_data_path is None


def test_the_files_in_the_settings_folder_are_read_and_unknown_keys_are_kept(folder: Path):
    (folder / "hardware_settings.yaml").write_text(
        "RIG_NAME: rig 3\nMAIN_SYNC: true\ndevice_cameras:\n  left: {FPS: 60}\n"
    )
    (folder / "iblrig_settings.yaml").write_text("ALYX_LAB: cortexlab\niblrig_remote_data_path: /mnt/s\n")
    hardware, settings = load_hardware_settings(), load_iblrig_settings()
    assert (hardware.RIG_NAME, hardware.MAIN_SYNC) == ("rig 3", True)
    assert hardware.device_cameras["left"].FPS == 60
    assert settings.ALYX_LAB == "cortexlab"
    assert settings.iblrig_remote_data_path == Path("/mnt/s")


def test_a_named_file_is_looked_up_in_the_settings_folder_or_by_its_full_path(folder: Path):
    (folder / "rig2.yaml").write_text("RIG_NAME: two\n")
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "rig3.yaml").write_text("RIG_NAME: three\n")
    assert load_hardware_settings("rig2.yaml").RIG_NAME == "two"
    assert load_hardware_settings(folder / "elsewhere" / "rig3.yaml").RIG_NAME == "three"


def test_a_named_file_that_is_missing_is_an_error_that_names_it():
    with pytest.raises(ConfigError, match=r"rig9\.yaml: there is no such file"):
        load_hardware_settings("rig9.yaml")


def test_overrides_win_over_the_file(folder: Path):
    (folder / "iblrig_settings.yaml").write_text("ALYX_LAB: cortexlab\nALYX_USER: anna\n")
    settings = load_iblrig_settings(overrides={"ALYX_USER": "ben"})
    assert (settings.ALYX_USER, settings.ALYX_LAB) == ("ben", "cortexlab")


def test_a_key_with_nothing_behind_it_and_an_empty_path_mean_the_default(folder: Path):
    (folder / "iblrig_settings.yaml").write_text(
        "ALYX_LAB:\niblrig_local_data_path:\niblrig_remote_data_path: ''\n"
    )
    settings = load_iblrig_settings()
    assert settings.ALYX_LAB == "mylab"
    assert settings.iblrig_local_data_path == Path.home() / "multirig_data"
    assert settings.iblrig_remote_data_path is None


def test_an_empty_file_gives_the_defaults(folder: Path):
    (folder / "hardware_settings.yaml").write_text("")
    assert load_hardware_settings().MAIN_SYNC is False


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("MAIN_SYNC: [", "hardware_settings.yaml: line 1"),
        ("MAIN_SYNC: perhaps", "hardware_settings.yaml: MAIN_SYNC is 'perhaps': give true or false"),
        ("RIG_NAME: 12", "hardware_settings.yaml: RIG_NAME is 12: give text"),
        ("- a\n- b", "hardware_settings.yaml: the file holds a list: write key: value lines"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_with_its_key(folder: Path, text: str, words: str):
    (folder / "hardware_settings.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_hardware_settings()
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("overrides", [{"MAIN_SYNC": 3}, ["MAIN_SYNC"]])
def test_a_wrong_override_names_the_argument(overrides):
    with pytest.raises(ConfigError, match="hardware_settings"):
        load_hardware_settings(overrides=overrides)


def test_the_subjects_folders_follow_the_settings():
    settings = load_iblrig_settings(
        overrides={"iblrig_local_data_path": "/d", "ALYX_LAB": "l", "iblrig_remote_data_path": "/s"}
    )
    assert subjects_folders(settings) == (Path("/d/l/Subjects"), Path("/s/Subjects"))
    settings = load_iblrig_settings(
        overrides={"iblrig_local_subjects_path": "/e", "iblrig_remote_subjects_path": "/r"}
    )
    assert subjects_folders(settings) == (Path("/e"), Path("/r"))
    assert subjects_folders(load_iblrig_settings())[1] is None


def test_a_lab_that_cannot_name_a_folder_is_refused():
    with pytest.raises(ConfigError, match="lab"):
        subjects_folders(load_iblrig_settings(overrides={"ALYX_LAB": "../x"}))


def test_without_the_variable_the_users_configuration_folder_is_asked(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(VARIABLE)
    assert settings_folder().name == "multirig"
