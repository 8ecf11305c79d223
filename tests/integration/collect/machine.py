"""A lab in which one thing after the other happens, as Hypothesis thinks of it."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.integration.collect.faulty import FAULTS
from tests.integration.collect.world import World, small_pieces

PCS = st.integers(0, 1)
NUMBERS = st.integers(1, 3)
INDEXES = st.integers(0, 30)
RIGS = st.sampled_from(["cam", "mic"])
NAMES = st.sampled_from(["notes.txt", "log.csv"])
COLLECT_FAULTS = st.sampled_from((None, "nothing is done", "death", "death", *FAULTS))
STEPS = st.integers(0, 9)
SIZES = st.lists(st.sampled_from([0, 1, 20, 63, 90, 200]), min_size=1, max_size=5)


class Lab(RuleBasedStateMachine):
    """Two PCs, two sessions, one server."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces = small_pieces()
        self._pieces.__enter__()
        self.world = World()

    @initialize(sizes=SIZES)
    def begin(self, sizes: list[int]) -> None:
        self.world.record(0, 1, "cam", sizes)
        self.world.add(0, 1, "notes.txt", 70)

    @rule(
        pc=PCS, number=NUMBERS, rig=RIGS, sizes=SIZES, is_listed=st.booleans(), fault=COLLECT_FAULTS, at=STEPS
    )
    def record(
        self, pc: int, number: int, rig: str, sizes: list[int], is_listed: bool, fault: str | None, at: int
    ) -> None:
        self.world.record(pc, number, rig, sizes, is_listed=is_listed)
        self._collect(pc, fault, at)

    @rule(pc=PCS, number=NUMBERS, name=NAMES, size=st.integers(1, 150), fault=COLLECT_FAULTS, at=STEPS)
    def write(self, pc: int, number: int, name: str, size: int, fault: str | None, at: int) -> None:
        self.world.add(pc, number, name, size)
        self._collect(pc, fault, at)

    @rule(pc=PCS, fault=COLLECT_FAULTS, at=STEPS)
    def collect(self, pc: int, fault: str | None, at: int) -> None:
        self._collect(pc, fault, at)

    def _collect(self, pc: int, fault: str | None, at: int) -> None:
        if fault == "nothing is done":
            return
        if fault == "death":
            self.world.dies_after = 3 * at
        elif fault is not None:
            self.world.fault = (fault, at)
        self.world.collect(pc)

    @rule(pc=PCS, index=INDEXES, is_longer=st.booleans())
    def change(self, pc: int, index: int, is_longer: bool) -> None:
        self.world.change(pc, index, is_longer=is_longer)

    @rule(pc=PCS, index=INDEXES)
    def remove(self, pc: int, index: int) -> None:
        self.world.remove(pc, index)

    @rule(index=INDEXES, how=st.sampled_from(["flip", "cut", "gone"]), then=st.integers(0, 4))
    def harm(self, index: int, how: str, then: int) -> None:
        self.world.harm(index, how)
        self.world.check()
        if then < 2:
            self.world.clear(then)
        elif then < 4:
            self.world.collect(then - 2)

    @rule(pc=PCS, index=INDEXES)
    def place(self, pc: int, index: int) -> None:
        self.world.place(pc, index)

    @rule(pc=PCS, number=NUMBERS, is_taken=st.booleans())
    def hand_over(self, pc: int, number: int, is_taken: bool) -> None:
        self.world.hand_over(pc, number, is_taken=is_taken)

    @rule(pc=PCS)
    def come_to_nothing(self, pc: int) -> None:
        self.world.disconnect()
        self.world.collect(pc)
        self.world.clear(pc)
        self.world.check()
        self.world.connect()

    @rule(pc=PCS, is_damaged=st.booleans())
    def lose_ledger(self, pc: int, is_damaged: bool) -> None:
        self.world.lose_ledger(pc, is_damaged=is_damaged)

    @rule(fault=st.sampled_from([None, None, "away", "error", "misread"]), at=st.integers(0, 5), pc=PCS)
    def clear(self, fault: str | None, at: int, pc: int) -> None:
        self.world.fault = (fault, at) if fault else None
        self.world.clear(pc)

    @rule(steps=st.integers(0, 20), pc=PCS)
    def die_while_clearing(self, steps: int, pc: int) -> None:
        self.world.dies_after = steps
        self.world.clear(pc)

    @invariant()
    def check(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        try:
            self.world.end()
        finally:
            self.world.close()
            self._pieces.__exit__(None, None, None)
