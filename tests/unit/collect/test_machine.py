"""Whatever happens in a lab, nothing is lost, and nothing is said to be there that is not."""

from __future__ import annotations

from hypothesis import settings
from tests.unit.collect.machine import Lab

TestLab = Lab.TestCase
TestLab.settings = settings(max_examples=60, stateful_step_count=25)
