"""What people say of a session: in a file, or besides; what NWB's archives would refuse is refused."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import pytest

from multirig.errors import ConfigError
from multirig.export.metadata import read_metadata


def write(folder: Path, text: str) -> Path:
    path = folder / "said.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_what_a_file_says_is_taken_and_what_is_said_besides_goes_before_it(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
NWBFile:
  experimenter: Müller, Anna
  keywords: [vision, mouse]
Subject:
  species: Mus musculus
  sex: M
  date_of_birth: 2026-01-31
  weight: 25.3 g
""",
    )
    found = read_metadata(path)
    assert (found.NWBFile.experimenter, found.NWBFile.keywords) == (("Müller, Anna",), ("vision", "mouse"))
    assert found.Subject.date_of_birth == datetime.date(2026, 1, 31)
    besides = read_metadata(path, sex="F", age="P90D", species=None)
    assert (besides.Subject.species, besides.Subject.sex) == ("Mus musculus", "F")
    assert (besides.Subject.age, besides.Subject.date_of_birth) == ("P90D", None)
    assert besides.NWBFile == found.NWBFile
    assert read_metadata().Subject.sex is None


@pytest.mark.parametrize(
    "age", ["P90D", "P12W", "P1Y2M3D", "PT12H", "P1DT6H", "P10W/P12W", "P1Y/", "P0.5Y", "P1W"]
)
def test_an_age_is_a_duration_or_something_between_two(age: str) -> None:
    assert read_metadata(age=age).Subject.age == age


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Subject: {sex: female}", "Subject.sex: 'female' is none that NWB knows: give F, M, O"),
        ("Subject: {species: mouse}", "Subject.species: 'mouse' is no Latin name: give two words, such as"),
        ("Subject: {age: 90}", "Subject.age is 90: give text"),
        ("Subject: {age: P}", "Subject.age: 'P' is no duration of ISO 8601: give P90D"),
        ("Subject: {age: PT}", "Subject.age: 'PT' is no duration"),
        ("Subject: {age: 90 days}", "is no duration"),
        ("Subject: {weight: 25}", "Subject.weight is 25: give text"),
        ("Subject: {weight: 25g}", "Subject.weight: '25g' is no weight: give a number and its unit, such as"),
        ("Subject: {date_of_birth: 31.1.2026}", "Subject.date_of_birth is '31.1.2026'"),
        ("Subject: {birthday: 2026-01-31}", "Subject.birthday is not a key that exists"),
        ("subject: {sex: F}", "subject is not a key that exists: did you mean 'Subject'?"),
        ("NWBFile: {experimenter: 5}", "NWBFile.experimenter is 5: give a list"),
        ("Subject", "write key: value lines, such as Subject:"),
    ],
)
def test_what_is_wrong_is_said_with_its_place_and_what_to_give(text: str, words: str, tmp_path: Path) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError, match=re.escape(words)) as told:
        read_metadata(path)
    assert str(told.value).startswith(str(path))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("species", ["Mus musculus", "Mus musculus domesticus", "Homo sapiens"])
def test_a_species_has_a_latin_name_or_a_link(species: str) -> None:
    assert read_metadata(species=species).Subject.species == species
    link = "http://purl.obolibrary.org/obo/NCBITaxon_10090"
    assert read_metadata(species=link).Subject.species == link


def test_what_no_file_of_hdf5_can_hold_is_made_visible(tmp_path: Path) -> None:
    path = write(tmp_path, 'NWBFile: {lab: "a\\0b", keywords: ["\\e[31m"]}')
    found = read_metadata(path).NWBFile
    assert (found.lab, found.keywords) == ("a\ufffdb", ("\ufffd[31m",))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no\.yaml: there is no such file"):
        read_metadata(tmp_path / "no.yaml")
