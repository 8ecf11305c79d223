"""Where a session lies on a PC, and which number is free: IBL's ``<lab>/Subjects/<subject>/<date>/<NNN>``."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

from multirig.errors import ConfigError, LocalProtocolError, MultirigError, why_not
from multirig.protocol.exp_ref import MAX_SEQUENCE, ExpRef, check_subject

DESCRIPTION_NAME = "_ibl_experiment.description.yaml"
"""In a session folder: IBL's description of the experiment."""
WHOLE_NAME = "_multirig_description.yaml"
"""The same where the folder is one of IBL's pipeline, whose copiers take one description for all."""
OURS = "_multirig_"
"""How names of files begin that we ourselves write beside the data: they are no data, and no proof of any."""
_NUMBER = re.compile("[0-9]{1,3}")
_OF_DEVICE = re.compile(r"_ibl_experiment\.description_(?P<device>.+)\.yaml")


def subjects_folder(data_folder: Path, lab: str) -> Path:
    """Return the folder of a lab's subjects, ``<data_folder>/<lab>/Subjects``; nothing is created.

    Raises
    ------
    ConfigError
        The lab cannot name a folder.
    """
    return data_folder / _lab_folder(lab) / "Subjects"


def session_folder(data_folder: Path, lab: str, exp_ref: ExpRef) -> Path:
    """Return the folder of a session; nothing is created.

    Parameters
    ----------
    data_folder : pathlib.Path
        The PC's data folder.
    lab : str
        Name of the lab.
    exp_ref : ExpRef
        Date, sequence and subject.

    Returns
    -------
    pathlib.Path
        ``<data_folder>/<lab>/Subjects/<subject>/<date>/<NNN>``.

    Raises
    ------
    ConfigError
        The lab cannot name a folder.
    """
    return subjects_folder(data_folder, lab).joinpath(*exp_ref.folder_parts())


def next_exp_ref(data_folder: Path, lab: str, subject: str, date: datetime.date) -> ExpRef:
    """Return the next free reference in a PC's data folder; see `next_exp_ref_in`."""
    return next_exp_ref_in(subjects_folder(data_folder, lab), subject, date)


def next_exp_ref_in(subjects: Path, subject: str, date: datetime.date) -> ExpRef:
    """Return the next free reference of a subject on a day: one more than the highest folder on this PC.

    A number below the highest is never given again, even when its folder was moved away: somewhere there may
    be data under it.

    Parameters
    ----------
    subjects : pathlib.Path
        The folder of the lab's subjects; it need not exist yet.
    subject : str
        Nickname of the animal.
    date : datetime.date
        Local date.

    Returns
    -------
    ExpRef

    Raises
    ------
    LocalProtocolError
        The subject cannot name a folder.
    ConfigError
        The day's folder cannot be read.
    MultirigError
        The day's numbers, 1 to 999, are used up.
    """
    first = ExpRef(date, 1, subject)
    day = subjects.joinpath(*first.folder_parts()).parent
    try:
        taken = [int(each.name) for each in day.iterdir() if _NUMBER.fullmatch(each.name) and each.is_dir()]
    except FileNotFoundError:
        return first
    except OSError as error:
        raise ConfigError(
            f"{day}: cannot be read ({why_not(error)}): check data_folder and its rights"
        ) from error
    number = max(taken, default=0) + 1
    if number > MAX_SEQUENCE:
        raise MultirigError(
            f"{day}: session {MAX_SEQUENCE} is there already and no number follows it: "
            "rename that folder if it was made by mistake"
        )
    return ExpRef(date, number, subject)


def is_data_name(name: str) -> bool:
    """Whether a file of that name may be data: it is none of ours, and no flag for a copier."""
    return not name.startswith((".", "_multirig")) and not name.endswith(".flag")


def description_name(device: str) -> str:
    """Return the name of the description in a session folder that IBL's copiers take as one device."""
    return f"_ibl_experiment.description_{device}.yaml"


def described_device(name: str) -> str | None:
    """Return of which device a file of that name is the description; None: it is of none."""
    found = _OF_DEVICE.fullmatch(name)
    return found["device"] if found else None


def is_description(name: str) -> bool:
    """Whether a file of that name describes an experiment, or a part of it."""
    return name in (WHOLE_NAME, DESCRIPTION_NAME) or described_device(name) is not None


def list_device_descriptions(folder: Path) -> list[Path]:
    """Return the descriptions of devices in a session folder, by name."""
    try:
        return sorted(one for one in folder.iterdir() if described_device(one.name) is not None)
    except OSError:
        return []


def find_description(folder: Path) -> Path | None:
    """Return the description in a session folder that says the most; None: there is none."""
    whole = [one for one in (folder / WHOLE_NAME, folder / DESCRIPTION_NAME) if one.exists()]
    return next(iter((*whole, *list_device_descriptions(folder))), None)


def _lab_folder(lab: str) -> str:
    """Check the lab by the rule for subjects: both are folder names on every system."""
    try:
        return check_subject(lab)
    except LocalProtocolError:
        raise ConfigError(
            f"lab {lab!r} cannot name a folder: use letters, digits, '_', '-' and '.', "
            "beginning with a letter or digit, at most 64"
        ) from None
