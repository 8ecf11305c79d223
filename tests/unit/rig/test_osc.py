from __future__ import annotations

import pytest

from multirig.errors import ConfigError
from multirig.rig.osc import encode_osc


def test_a_message_without_arguments_still_has_its_type_tags() -> None:
    assert encode_osc("/stop") == b"/stop\0\0\0,\0\0\0"


def test_the_example_of_the_specification_is_encoded_to_its_bytes() -> None:
    # https://opensoundcontrol.stanford.edu/spec-1_0-examples.html
    assert encode_osc("/oscillator/4/frequency", [440.0]).hex(" ", 4) == (
        "2f6f7363 696c6c61 746f722f 342f6672 65717565 6e637900 2c660000 43dc0000"
    )
    # its second example, /foo with 1000, -1, "hello", 1.234, 5.678
    assert encode_osc("/foo", [1000, -1, "hello", 1.234, 5.678]).hex(" ", 4) == (
        "2f666f6f 00000000 2c696973 66660000 000003e8 ffffffff 68656c6c 6f000000 3f9df3b6 40b5b22d"
    )


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("", b"\0\0\0\0"),
        ("abc", b"abc\0"),
        ("abcd", b"abcd\0\0\0\0"),
    ],
)
def test_a_string_ends_with_a_zero_and_fills_up_to_four(text: str, encoded: bytes) -> None:
    assert encode_osc("/a", [text]) == b"/a\0\0,s\0\0" + encoded


@pytest.mark.parametrize(
    ("address", "arguments", "complaint"),
    [
        ("stop", [], "begin with"),
        ("/st op", [], "no space"),
        ("/stöp", [], "ASCII"),
        ("/stop", ["a\0b"], "zero"),
        ("/stop", [2**31], "32 bits"),
        ("/stop", [-(2**31) - 1], "32 bits"),
        ("/stop", [1e39], "32-bit float"),
        ("/stop", [True], "truth value"),
    ],
)
def test_what_osc_cannot_carry_is_refused(
    address: str, arguments: list[int | float | str], complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        encode_osc(address, arguments)


def test_the_ends_of_the_32_bit_range_are_sent() -> None:
    assert encode_osc("/a", [-(2**31), 2**31 - 1]).endswith(b",ii\0\x80\0\0\0\x7f\xff\xff\xff")
