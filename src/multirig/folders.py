"""Where a session lies on a PC, and which number is free: IBL's ``<lab>/Subjects/<subject>/<date>/<NNN>``."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

from multirig.errors import ConfigError, LocalProtocolError, MultirigError, why_not
from multirig.protocol.exp_ref import MAX_SEQUENCE, ExpRef, check_subject

DESCRIPTION_NAME = "_ibl_experiment.description.yaml"
"""In a session folder: IBL's description of the experiment."""
_NUMBER = re.compile("[0-9]{1,3}")


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


def _lab_folder(lab: str) -> str:
    """Check the lab by the rule for subjects: both are folder names on every system."""
    try:
        return check_subject(lab)
    except LocalProtocolError:
        raise ConfigError(
            f"lab {lab!r} cannot name a folder: use letters, digits, '_', '-' and '.', "
            "beginning with a letter or digit, at most 64"
        ) from None
