"""Whatever happens in a lab, nothing is lost, and nothing is said to be there that is not."""

from __future__ import annotations

import os

from hypothesis import settings
from tests.integration.collect.machine import Lab

EXAMPLES = int(os.environ.get("MULTIRIG_LABS", "15"))
"""Labs that are thought of; ``make collect`` tries many more."""

TestLab = Lab.TestCase
TestLab.settings = settings(max_examples=EXAMPLES, stateful_step_count=20)
