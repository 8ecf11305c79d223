"""What this PC is and where its data go: ``hardware_settings.yaml`` and ``iblrig_settings.yaml``.

Names and keys are iblrig's. Where a file of these names is missing the defaults hold; a file that somebody
names must be there.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from platformdirs import user_config_path
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from multirig.config import SharedLoader, explain, parse_pairs, read_text
from multirig.errors import ConfigError
from multirig.folders import subjects_folder
from multirig.ibl.bunch import Bunch, bunched

VARIABLE = "MULTIRIG_SETTINGS"
"""Environment variable that names the folder of the settings."""
HARDWARE_FILE = "hardware_settings.yaml"
IBLRIG_FILE = "iblrig_settings.yaml"


def _from_home(value: Any) -> Any:
    return os.path.expanduser(value) if isinstance(value, str) else value


def _folder_or_nothing(value: Any) -> Any:
    """An empty text and iblrig's ``false`` mean the same as nothing."""
    return None if value in ("", False) else _from_home(value)


Folder = Annotated[Path, BeforeValidator(_from_home)]
OptionalFolder = Annotated["Path | None", BeforeValidator(_folder_or_nothing)]


class HardwareSettings(BaseModel):
    """What hardware this PC drives; further keys, such as ``device_cameras``, are kept as they are."""

    model_config = ConfigDict(extra="allow", strict=True)

    RIG_NAME: str = Field(default_factory=socket.gethostname)
    """What this PC is called in the session's settings; its host name by default."""
    MAIN_SYNC: bool = False
    """Whether this PC owns the experiment's number and timeline."""


class IblrigSettings(BaseModel):
    """Where data go and which Alyx knows about them; further keys are kept as they are."""

    model_config = ConfigDict(extra="allow")

    iblrig_local_data_path: Folder = Field(default_factory=lambda: Path.home() / "multirig_data")
    """This PC's data folder."""
    iblrig_local_subjects_path: OptionalFolder = None
    """The folder of the subjects; without it ``<local data>/<lab>/Subjects``."""
    iblrig_remote_data_path: OptionalFolder = None
    """The server's data folder, if there is one."""
    iblrig_remote_subjects_path: OptionalFolder = None
    """The folder of the subjects on the server; without it ``<remote data>/Subjects``."""
    ALYX_URL: str | None = None
    """The Alyx that sessions are registered at; without it they are not."""
    ALYX_USER: str | None = None
    """Who registers them."""
    ALYX_LAB: str = "mylab"
    """The lab's name; also the name of its folder."""
    allow_cleartext_token: list[str] = []
    """Names of rigs that may be sent the Alyx token, which travels unencrypted."""


def settings_folder() -> Path:
    """Return the folder of the settings: ``MULTIRIG_SETTINGS``, or the user's configuration folder."""
    chosen = os.environ.get(VARIABLE)
    return Path(chosen).expanduser() if chosen else user_config_path("multirig", appauthor=False)


def load_hardware_settings(
    file: str | Path | None = None, overrides: Mapping[str, Any] | None = None
) -> Bunch:
    """Return what ``hardware_settings.yaml`` says; see `load_iblrig_settings` for the parameters."""
    return _load(HardwareSettings, HARDWARE_FILE, file, overrides, "hardware_settings")


def load_iblrig_settings(file: str | Path | None = None, overrides: Mapping[str, Any] | None = None) -> Bunch:
    """Return what ``iblrig_settings.yaml`` says, defaults included.

    Parameters
    ----------
    file : str or pathlib.Path, optional
        A full path, or a name in the settings folder. Without it the default name, which need not be there.
    overrides : mapping, optional
        Keys that win over those in the file.

    Raises
    ------
    ConfigError
        The file is missing, is no YAML or holds a wrong value; the message names file and key.
    """
    return _load(IblrigSettings, IBLRIG_FILE, file, overrides, "iblrig_settings")


def _load(
    model: type[BaseModel],
    default: str,
    file: str | Path | None,
    overrides: Mapping[str, Any] | None,
    argument: str,
) -> Bunch:
    path = settings_folder() / (file or default)  # a full path stays as it is
    content: dict[str, Any] = {}
    if file is not None or path.exists():
        example = f"{next(iter(model.model_fields))}: …"
        content = parse_pairs(read_text(path), path, example=example, loader=SharedLoader)
    if overrides is not None and not isinstance(overrides, Mapping):
        raise ConfigError(f"{argument} is {overrides!r:.40}: give a mapping of keys to values")
    settings = _check(model, content, path)
    if overrides:
        # by themselves first, so that the message names who gave the wrong value
        _check(model, overrides, argument)
        settings = _check(model, {**content, **overrides}, path)
    return settings


def _check(model: type[BaseModel], content: Mapping[str, Any], source: object) -> Bunch:
    # a key with nothing behind it is as good as no key
    given = {
        key: value for key, value in content.items() if value is not None or key not in model.model_fields
    }
    try:
        checked = model.model_validate(given)
    except ValidationError as error:
        raise ConfigError(explain(error, source, model=model)) from error
    values: Bunch = bunched(checked.model_dump())
    return values


def subjects_folders(settings: Mapping[str, Any]) -> tuple[Path, Path | None]:
    """Return the folders of the subjects on this PC and on the server (None: there is no server)."""
    local = settings["iblrig_local_subjects_path"]
    if local is None:
        local = subjects_folder(Path(settings["iblrig_local_data_path"]), settings["ALYX_LAB"])
    remote = settings["iblrig_remote_subjects_path"]
    if remote is None and settings["iblrig_remote_data_path"] is not None:
        remote = Path(settings["iblrig_remote_data_path"]) / "Subjects"
    return Path(local), None if remote is None else Path(remote)


def get_setting(settings: Any, key: str) -> Any:
    """Return a setting, or None where there is none.

    Parameters
    ----------
    settings : mapping or pydantic.BaseModel
        iblrig's models are both, raise AttributeError for a key that they do not know, and drop such keys
        when they are read from a file.
    key : str
        Its name.
    """
    try:
        return settings[key]
    except (KeyError, AttributeError, TypeError):
        return None


def get_text(settings: Any, key: str) -> str | None:
    """Return a setting as text, also an address that pydantic has made an object of; None: there is none."""
    value = get_setting(settings, key)
    return None if value is None else str(value)


def find_iblrig_subjects(settings: Mapping[str, Any]) -> Path:
    """Return the folder of the subjects on this PC by iblrig's settings, as iblrig finds it."""
    chosen = get_setting(settings, "iblrig_local_subjects_path")
    if chosen is not None:
        return Path(chosen)
    local = get_setting(settings, "iblrig_local_data_path")
    folder = Path(local).expanduser() if local else Path.home() / "iblrig_data"
    if folder.name == "Subjects":
        return folder
    lab = get_text(settings, "ALYX_LAB")
    return folder / lab / "Subjects" if lab else folder / "subjects"
