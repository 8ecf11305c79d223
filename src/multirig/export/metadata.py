"""What people say of a session and its subject, and no file in its folder does: in NWB's own words."""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from multirig.config import parse_pairs, read_text
from multirig.config.explaining import explain
from multirig.errors import ConfigError
from multirig.export.naming import plain

UNKNOWN_SEX = "U"
"""What NWB has for a sex that nobody has said."""
_SEXES = ("F", "M", "O", UNKNOWN_SEX, "XO", "XX")
"""The last two are those of worms."""
_LINK = re.compile(r"http://purl\.obolibrary\.org/obo/NCBITaxon_\d+")
_LATIN = re.compile(r"[A-Z][a-z]+ [a-z]+( [a-z]+)?")
_DAYS = "".join(rf"(\d+(\.\d+)?{unit})?" for unit in "YMWD")
_HOURS = "".join(rf"(\d+(\.\d+)?{unit})?" for unit in "HMS")
_PERIOD = rf"P(?=.){_DAYS}(T(?=\d){_HOURS})?"
_AGE = re.compile(rf"{_PERIOD}(/({_PERIOD})?)?")
_WEIGHT = re.compile(r"\d+(\.\d+)? (kg|g|mg|ug|μg|ng|pg)")
_FORBIDDING = ConfigDict(extra="forbid", frozen=True)


def _check_sex(text: str) -> str:
    if text not in _SEXES:
        raise ValueError(f"{text!r} is none that NWB knows: give F, M, O (other) or {UNKNOWN_SEX} (unknown)")
    return text


def _check_species(text: str) -> str:
    if not _LATIN.fullmatch(text) and not _LINK.fullmatch(text):
        raise ValueError(
            f"{text!r} is no Latin name: give two words, such as Mus musculus, or a link of NCBI's taxonomy"
        )
    return text


def _check_age(text: str) -> str:
    if not _AGE.fullmatch(text):
        raise ValueError(
            f"{text!r} is no duration of ISO 8601: give P90D for 90 days, P12W for 12 weeks, P10W/P12W for "
            "something in between"
        )
    return text


def _check_weight(text: str) -> str:
    if not _WEIGHT.fullmatch(text):
        raise ValueError(f"{text!r} is no weight: give a number and its unit, such as 25.3 g")
    return text


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


Text = Annotated[str, AfterValidator(plain)]
Names = Annotated[tuple[Text, ...], BeforeValidator(_as_list)]


class SubjectWords(BaseModel):
    """What is said of the subject; its name is the session's."""

    model_config = _FORBIDDING

    species: Annotated[str, AfterValidator(_check_species)] | None = None
    """Its Latin name, such as ``Mus musculus``, or a link of NCBI's taxonomy."""
    sex: Annotated[str, AfterValidator(_check_sex)] | None = None
    """F, M, O (other) or U (unknown)."""
    age: Annotated[str, AfterValidator(_check_age)] | None = None
    """In this session, as a duration of ISO 8601: ``P90D``."""
    date_of_birth: datetime.date | None = None
    """In place of its age."""
    strain: Text | None = None
    """Such as ``C57BL/6J``."""
    genotype: Text | None = None
    """Such as ``Sst-IRES-Cre/wt``."""
    weight: Annotated[str, AfterValidator(_check_weight)] | None = None
    """In this session, with its unit; without it, what the task asked for."""
    description: Text | None = None
    """Anything else."""


class FileWords(BaseModel):
    """What is said of the session."""

    model_config = _FORBIDDING

    lab: Text | None = None
    """Name of the lab."""
    institution: Text | None = None
    """Name of the institution."""
    experimenter: Names = ()
    """Who did it, ``Last, First``; without it, who led the session."""
    experiment_description: Text | None = None
    """What the experiment is; without it, the task, projects and procedures."""
    session_description: Text | None = None
    """What this session was; it stands before the verdict."""
    keywords: Names = ()
    """By which it is found; without them, the task, projects and procedures."""
    protocol: Text | None = None
    """Without it, the name of the task."""
    related_publications: Names = ()
    """Such as ``doi:10.1000/xyz``."""
    notes: Text | None = None
    """Anything else; it stands before what is not here."""
    pharmacology: Text | None = None
    """Drugs, and how they were given."""
    surgery: Text | None = None
    """What was done, when and by whom."""
    virus: Text | None = None
    """Its number, source, place and volume."""
    stimulus_notes: Text | None = None
    """How and where stimuli were shown."""


class Metadata(BaseModel):
    """Both, under the names of NWB's own types; NeuroConv's files are written so too."""

    model_config = _FORBIDDING

    NWBFile: FileWords = Field(default_factory=FileWords)
    """What is said of the session."""
    Subject: SubjectWords = Field(default_factory=SubjectWords)
    """What is said of the subject."""


def read_metadata(path: Path | None = None, **subject: str | None) -> Metadata:
    """Return what people say of a session.

    Parameters
    ----------
    path : pathlib.Path, optional
        A YAML file with ``NWBFile`` and ``Subject`` in it, or one of them.
    **subject : str or None
        Keys of the subject that go before those of the file; None: not said.

    Raises
    ------
    ConfigError
        The file cannot be read, or something in it, or in what is said besides, is wrong.
    """
    content: dict[Any, Any] = {}
    if path is not None:
        content = parse_pairs(read_text(path), path, example="Subject: {species: Mus musculus, sex: F}")
    found = _validate(content, path or "what is said of the session")
    said = {key: value for key, value in subject.items() if value is not None}
    if not said:
        return found
    own = found.Subject.model_dump(exclude_none=True)
    if "age" in said:
        own.pop("date_of_birth", None)  # it is given in place of that
    return _validate({"Subject": own | said, "NWBFile": found.NWBFile.model_dump()}, "what is said of it")


def _validate(content: dict[Any, Any], source: object) -> Metadata:
    try:
        return Metadata.model_validate(content)
    except ValidationError as error:
        raise ConfigError(explain(error, source, model=Metadata)) from None
