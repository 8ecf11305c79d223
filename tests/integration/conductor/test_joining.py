"""A session that goes on already: joined, and not spoiled by a beginning that fails."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest

from multirig.errors import AgreementError, SessionFailed
from multirig.lifecycle.rig_states import RigState
from multirig.record.account import account
from multirig.record.journal import holds_start
from multirig.state import VARIABLE


async def test_a_main_sync_that_was_started_by_hand_gives_its_number_and_is_joined(lab: Any) -> None:
    main, cam = await lab.rigs_of_a_session("cam")
    exp_ref = await main.start_here("SP_01")
    conductor = await lab.conductor()
    session = conductor.session("SP_01")
    assert await session.agree() == exp_ref
    await session.init()
    await session.start()
    assert main.adapter.calls.count("start") == cam.adapter.calls.count("start") == 1
    await session.stop()
    assert main.machine.state is cam.machine.state is RigState.STOPPED


async def test_a_beginning_that_fails_leaves_the_recording_that_it_wanted_to_join(lab: Any) -> None:
    main, cam = await lab.rig("main", main_sync=True), await lab.rig("cam", fake={"fail": {"start": "dark"}})
    await main.start_here("SP_01")
    conductor = await lab.conductor()
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    with pytest.raises(SessionFailed, match="main was recording before and goes on"):
        await session.start()
    assert main.machine.state is RigState.RUNNING
    assert "stop" not in main.adapter.calls
    assert cam.machine.state is RigState.CONNECTED


async def test_a_conductor_that_is_closed_before_its_start_leaves_it_too(lab: Any) -> None:
    main, cam = await lab.rigs_of_a_session("cam")
    await main.start_here("SP_01")
    conductor = await lab.conductor()
    session = conductor.session("SP_01")
    await session.agree()
    await session.init()
    await conductor.close()
    assert main.machine.state is RigState.RUNNING
    assert cam.machine.state is RigState.CONNECTED


async def test_another_conductor_goes_on_with_the_session_of_one_that_vanished(
    lab: Any, until: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    rigs = await lab.rigs_of_a_session("cam")
    first = await lab.conductor()
    first_session = first.session("SP_01")
    exp_ref = await first_session.agree()
    await first_session.init()
    await first_session.start()
    await first.exchange.close()  # as a killed program: nobody is told
    lab.conductors.remove(first)
    first_session.journal.close(is_over=False)  # as the system does for it

    main = {"main": str(rigs[0].addresses[0])}
    monkeypatch.setenv(VARIABLE, str(lab.folder / "what another pc remembers"))
    second = await lab.conductor(rigs=main, data_folder=lab.folder / "another pc")
    with pytest.raises(AgreementError, match=r"main is led by .*: end the session there, or take it over"):
        await second.session("SP_01").agree()
    await until(lambda: rigs[0].snapshot().conductor_silent)
    second_session = second.session("SP_01")
    assert await second_session.agree() == exp_ref
    await second_session.init()
    await second_session.start()
    assert rigs[0].adapter.calls.count("start") == 1
    await second_session.stop()
    assert rigs[0].machine.state is RigState.STOPPED
    await rigs[1].stop_here()


async def die(lab: Any) -> Any:
    """Begin a session whose program is killed while the rigs record; return its reference."""
    first = await lab.conductor()
    session = first.session("SP_01")
    exp_ref = await session.agree()
    await session.init()
    await session.start()
    await first.exchange.close()  # as a killed program: nobody is told
    lab.conductors.remove(first)
    session.journal.close(is_over=False)  # as the system does for it
    return exp_ref


@pytest.mark.parametrize("is_heard", [True, False], ids=["at once", "when the rigs know that nobody leads"])
@pytest.mark.parametrize("wanted", [{}, {"main_sync": True}, {"subject": "SP_02"}], ids=str)
async def test_this_pcs_own_session_is_not_joined_in_silence_but_named(
    lab: Any, until: Callable[..., Any], is_heard: bool, wanted: dict[str, Any]
) -> None:
    main, cam = await lab.rigs_of_a_session("cam")
    exp_ref = await die(lab)
    if not is_heard:
        await until(lambda: main.snapshot().conductor_silent and cam.snapshot().conductor_silent)
    rigs = {"cam": str(cam.addresses[0])} if wanted.get("main_sync") else None
    conductor = await lab.conductor(rigs=rigs)
    with pytest.raises(AgreementError) as caught:
        await conductor.session(**{"subject": "SP_01", **wanted}).agree()
    assert re.fullmatch(
        rf"this PC's own session of \d\d:\d\d is still open \({exp_ref}, with main and cam\): "
        r"'multirig recover' goes on with it, or ends it",
        str(caught.value),
    )
    assert {main.machine.state, cam.machine.state} == {RigState.RUNNING}
    await asyncio.gather(main.stop_here(), cam.stop_here())


async def test_this_pcs_own_session_is_found_wherever_its_part_lies_and_joined_by_who_takes_it_over(
    lab: Any, until: Callable[..., Any]
) -> None:
    main, cam = await lab.rigs_of_a_session("cam")
    exp_ref = await die(lab)
    await until(lambda: main.snapshot().conductor_silent and cam.snapshot().conductor_silent)
    conductor = await lab.conductor(data_folder=lab.folder / "of a task")
    with pytest.raises(AgreementError, match="own session"):
        await conductor.session("SP_01").agree()
    session = conductor.session("SP_01", takes_over=True)
    assert await session.agree() == exp_ref
    await session.end()


async def test_a_number_whose_journal_holds_a_start_is_not_used_twice(lab: Any) -> None:
    first = await lab.rig("main", main_sync=True)
    conductor = await lab.conductor()
    session = conductor.session("SP_01")
    await session.agree()
    folder, conductor_ref = session.folder, session.exp_ref
    await session.init()
    await session.start()
    await session.stop()
    await session.cleanup()
    assert holds_start(folder)

    other = await lab.rig("ephys", main_sync=True)  # another PC counts from 1 again
    again = await lab.conductor(rigs={"ephys": str(other.addresses[0])})
    assert (await again.session("SP_01").agree()).sequence == 2  # a multirig is told from where it may count

    async def find_used(subject: str, at_least: int = 1) -> Any:
        return conductor_ref

    other._describer.find_free = find_used  # a foreign main sync is not
    with pytest.raises(AgreementError, match="has been recorded already"):
        await again.session("SP_01").agree()
    assert again.current is None
    assert other.machine.state is first.machine.state is RigState.CONNECTED


async def test_a_session_that_is_over_is_not_recorded_again_into_its_account(lab: Any) -> None:
    """A rig that could not be reached at the stop records on, and gives its old number to who asks."""
    await lab.rig("main", main_sync=True)
    conductor = await lab.conductor()
    session = conductor.session("SP_OVER")
    exp_ref = await session.agree()
    await session.init()
    await session.start()
    await session.stop()
    await session.cleanup()
    before = account(session.folder)

    left = await lab.rig("ephys", main_sync=True)

    async def find_used(subject: str, at_least: int = 1) -> Any:
        return exp_ref

    left._describer.find_free = find_used
    assert await left.start_here("SP_OVER") == exp_ref
    again = await lab.conductor(rigs={"ephys": str(left.addresses[0])})
    with pytest.raises(AgreementError, match="is over on this PC, and a rig of it still records"):
        await again.session("SP_OVER").agree()
    assert left.machine.state is RigState.RUNNING
    assert account(session.folder) == before
    await left.stop_here()


async def test_a_number_that_was_given_back_is_used_again(lab: Any) -> None:
    await lab.rig(
        "main", main_sync=True, fake={"fail": {"initialise": "cold"}, "fail_times": {"initialise": 1}}
    )
    conductor = await lab.conductor()
    session = conductor.session("SP_01")
    exp_ref = await session.agree()
    with pytest.raises(SessionFailed, match="cold"):
        await session.init()
    session = conductor.session("SP_01")
    assert await session.agree() == exp_ref
    assert not holds_start(session.folder)
