"""What is expected of a recording, as a file says it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from multirig.config import Expect
from multirig.protocol.words import Expected


def test_what_a_file_says_is_what_the_verdict_knows() -> None:
    said = {"fps": 30, "longest_gap": "100 ms", "missing": "0.1 %", "damaged": 0.01}
    expected = Expect.model_validate(said).to_expected()
    assert expected == Expected(fps=30.0, longest_gap=0.1, missing=0.001, damaged=0.01)


def test_nothing_is_expected_where_nothing_is_said() -> None:
    assert Expect().to_expected() == Expected()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"fps": 0}, "greater than 0"),
        ({"fps": "30"}, "valid number"),
        ({"longest_gap": "soon"}, "is not a duration"),
        ({"missing": 5}, "is no share: write a number from 0 to 1, or 0.5 %"),
        ({"missing": True}, "is no share"),
        ({"damaged": "120 %"}, "is no share"),
        ({"damaged": "1e-2"}, "is no share"),
        ({"gap": 1}, "Extra inputs"),
    ],
)
def test_what_makes_no_sense_is_refused(said: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Expect.model_validate(said)
