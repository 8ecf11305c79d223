import json
import math
import re

import pytest
from pydantic import BaseModel, ValidationError

from multirig.conductor.leading import Wishes
from multirig.config import Duration, parse_duration
from multirig.config.duration import LONGEST_SESSION, check_length
from multirig.errors import ConfigError


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (90, 90.0),
        (0.25, 0.25),
        ("90", 90.0),
        ("90 s", 90.0),
        ("2 min", 120.0),
        ("2min", 120.0),
        (" 1.5 h ", 5400.0),
        (".5 h", 1800.0),
        ("250 ms", 0.25),
    ],
)
def test_a_duration_is_a_number_of_seconds_or_has_its_unit(written, seconds):
    assert parse_duration(written) == seconds


@pytest.mark.parametrize(
    "written", [True, None, "", "soon", "10 mins", "10 MIN", "1,5 h", "-3 s", "1e3", "٣ s", [90], {"s": 90}]
)
def test_what_is_no_duration_is_refused_with_what_one_looks_like(written):
    with pytest.raises(ConfigError, match="is not a duration: write seconds, such as 90, or 250 ms, 10 min"):
        parse_duration(written)


@pytest.mark.parametrize("written", [0, -3, "0 min", float("nan"), float("inf"), "9" * 400])
def test_nothing_and_for_ever_are_no_durations(written):
    with pytest.raises(ConfigError, match="is no time to wait: write seconds"):
        parse_duration(written)


class Waiting(BaseModel):
    limit: Duration = 30.0


def test_as_a_field_it_holds_seconds_and_survives_json():
    waiting = Waiting.model_validate({"limit": "10 min"})
    assert waiting.limit == 600.0
    assert Waiting.model_validate_json(waiting.model_dump_json()) == waiting
    with pytest.raises(ValidationError, match="is not a duration"):
        Waiting.model_validate({"limit": "soon"})


def test_its_schema_lets_an_editor_tell_good_from_bad():
    schema = Waiting.model_json_schema()["properties"]["limit"]
    json.dumps(schema)
    number, text = schema["anyOf"]
    assert number == {"type": "number", "exclusiveMinimum": 0}
    assert all(re.search(text["pattern"], good) for good in ("90", "10 min", ".5 h", "250ms"))
    assert not any(re.search(text["pattern"], bad) for bad in ("", "soon", "10 mins", "-3 s"))


@pytest.mark.parametrize("seconds", [math.inf, -math.inf, math.nan, 1e300, -1.0, LONGEST_SESSION + 1])
def test_no_session_lasts_for_ever_or_less_than_no_time(seconds: float) -> None:
    with pytest.raises(ConfigError, match=r"a session cannot last .* s: plan at most 2592000 s \(30 days\)"):
        check_length(seconds)
    with pytest.raises(ConfigError, match="a session cannot last"):
        Wishes(seconds)


@pytest.mark.parametrize("seconds", [None, 0, 0.5, LONGEST_SESSION])
def test_a_length_that_a_session_may_have_is_taken_as_it_is(seconds: float | None) -> None:
    assert check_length(seconds) == seconds
