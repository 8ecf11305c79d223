"""What the agreement settles with real rigs: who takes part, how long each may take, and the number."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from typing import Any

import pytest

from multirig.conductor.conductor import Conductor
from multirig.conductor.events import StepBegan
from multirig.conductor.journal import FolderInUse, LockedFile
from multirig.conductor.storage import SubjectsFolder
from multirig.errors import SessionFailed
from multirig.lifecycle.policy import RigPolicy, Role
from multirig.pc.finding import Level
from multirig.record.account import account
from multirig.record.recovery import find_led
from multirig.record.verdict import Word

NOT_NEEDED = RigPolicy(role=Role.OPTIONAL)


async def record(conductor: Any, **options: Any) -> Any:
    async with conductor.session("SP_01", **options) as session:
        await session.init()
        await session.start()
        await session.stop()
    return session


@pytest.mark.parametrize(
    "gone", ["udp://no-such-pc.invalid:11001", "tcp://no-such-pc.invalid", "udp://127.0.0.1:9"]
)
async def test_an_optional_rig_that_is_not_there_holds_up_neither_a_session_nor_a_check(
    lab: Any, gone: str
) -> None:
    await lab.rig("main", main_sync=True, over="udp")
    rigs = {"main": str(lab.rigs["main"].addresses[0]), "gone": gone}
    conductor = await lab.conductor(over="udp", rigs=rigs, policies={"gone": NOT_NEEDED})
    began = time.perf_counter()
    session = await record(conductor, checks=True)
    assert time.perf_counter() - began < 5
    told = account(session.folder)
    assert told.verdict is Word.GOOD
    assert list(told.rigs) == ["main", "gone"]
    found = await conductor.check(rigs=["gone"])
    assert [(one.check, one.level) for one in found["gone"]] == [("answer", Level.WARNING)]
    assert "it is optional: the session begins without it" in found["gone"][0].text


async def test_a_rig_that_is_needed_and_has_no_known_name_is_named(lab: Any) -> None:
    await lab.rig("main", main_sync=True, over="udp")
    rigs = {"main": str(lab.rigs["main"].addresses[0]), "gone": "udp://no-such-pc.invalid:11001"}
    with pytest.raises(SessionFailed, match=r"gone: .*no-such-pc\.invalid"):
        await lab.conductor(over="udp", rigs=rigs, policies={"main": NOT_NEEDED})


async def test_who_only_looks_is_kept_from_no_rig_by_a_name_that_is_not_found(lab: Any) -> None:
    main = await lab.rig("main", main_sync=True, over="udp")
    rigs = {"main": str(main.addresses[0]), "gone": "udp://no-such-pc.invalid:11001"}
    async with Conductor(rigs, only_looks=True) as conductor:
        found = await conductor.check()
    [answer] = found["gone"]
    assert (answer.check, answer.level) == ("answer", Level.FAILURE)
    assert "no-such-pc.invalid" in answer.text
    assert {"answer", "disk"} <= {one.check for one in found["main"]}


async def test_a_rig_that_takes_long_says_so_and_is_waited_for(lab: Any) -> None:
    await lab.rig("main", main_sync=True, limits={"initialise": "2 min"})
    await lab.rig("cam")
    conductor = await lab.conductor()
    session = conductor.session("SP_01")
    await session.agree()
    assert session.information["main"].limits == {"initialise": 120}
    assert session.information["cam"].limits is None
    events = session.events()
    await session.init()
    [began] = [one for one in events.pending() if isinstance(one, StepBegan)]
    assert began.slow == {"main": 125}
    await session.cleanup()


async def test_numbers_go_on_in_one_try_after_this_pcs_folders_were_moved_to_the_server(lab: Any) -> None:
    await lab.rig("cam")
    conductor = await lab.conductor(main_sync=True)
    for number in (1, 2, 3):
        session = await record(conductor)
        assert session.exp_ref.sequence == number
    await asyncio.to_thread(shutil.rmtree, lab.folder / "pc")
    session = await record(conductor)
    assert session.exp_ref.sequence == 4
    day = session.folder.parent
    assert [one.name for one in day.iterdir()] == ["004"]  # no number was used up by a try that failed


class Overtaken(SubjectsFolder):
    """Looks for the next number just before another program on this PC takes it."""

    other: LockedFile | None = None

    def next_exp_ref(self, subject: str, date: Any) -> Any:
        found = super().next_exp_ref(subject, date)
        if self.other is None:
            self.other = LockedFile(self.folder(found))
        return found


async def test_a_number_that_another_program_on_this_pc_takes_in_the_same_moment_is_not_fought_for(
    lab: Any,
) -> None:
    await lab.rig("cam")
    storage = Overtaken(lab.folder / "pc")
    conductor = await lab.conductor(main_sync=True, data_folder=storage)
    session = await record(conductor)
    assert storage.other is not None
    assert session.exp_ref.sequence == 2
    [(folder, leader)] = find_led(lab.folder / "pc")
    storage.other.close()
    assert folder.name == "001"
    assert leader == f"another program on this PC (process {os.getpid()})"


async def test_who_records_a_session_is_named_where_its_number_comes_from_a_rig(lab: Any) -> None:
    main = await lab.rig("main", main_sync=True)
    conductor = await lab.conductor()
    offered = await main._describer.find_free("SP_01")
    other = LockedFile(conductor.storage.folder(offered))
    with pytest.raises(FolderInUse, match=rf"process {os.getpid()}\) records {offered} now: end it there"):
        await conductor.session("SP_01").agree()
    other.close()


async def test_a_rig_that_counts_gives_a_number_that_is_free_on_all_after_its_folders_were_moved(
    lab: Any,
) -> None:
    main, _ = await lab.rigs_of_a_session("cam")
    conductor = await lab.conductor()
    for _ in range(3):
        await record(conductor)
    await asyncio.to_thread(shutil.rmtree, lab.folder / "main")
    await asyncio.to_thread(shutil.rmtree, lab.folder / "pc")
    main.machine.numbers.started.clear()  # it was restarted, and has forgotten
    main.machine.numbers.stopped.clear()
    session = await record(conductor)
    assert session.exp_ref.sequence == 4
