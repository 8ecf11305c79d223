"""The colours of the console can be told from their ground by people who see little contrast."""

import re
from pathlib import Path

import pytest

import multirig.dashboard
from multirig.dashboard.view.tones import Tone

CSS = (Path(multirig.dashboard.__file__).parent / "pages" / "console.css").read_text(encoding="utf-8")
LEAST = 4.5
"""Contrast that WCAG 2 asks of text, level AA."""


def colours(selector):
    block = re.search(re.escape(selector) + r" \{(.*?)\}", CSS, re.DOTALL).group(1)
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))


def luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (one / 12.92 if one <= 0.03928 else ((one + 0.055) / 1.055) ** 2.4 for one in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, two):
    dark, light = sorted([luminance(one), luminance(two)])
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("selector", [":root", ".body--dark"])
@pytest.mark.parametrize("tone", list(Tone))
def test_a_tone_is_read_on_its_own_ground_and_on_a_card(selector, tone):
    known = colours(selector)
    for ground in (known[f"{tone.value}-back"], known["card"]):
        assert contrast(known[tone.value], ground) >= LEAST


@pytest.mark.parametrize("selector", [":root", ".body--dark"])
@pytest.mark.parametrize("ink", ["ink", "soft", "accent"])
def test_text_is_read_on_the_page_and_on_a_card(selector, ink):
    known = colours(selector)
    for ground in ("page", "card"):
        assert contrast(known[ink], known[ground]) >= LEAST


def test_the_measure_itself_knows_black_on_white():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") < LEAST
