"""A session that goes on already: joined, and not spoiled by a beginning that fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from multirig.errors import AgreementError, SessionFailed
from multirig.lifecycle.rig_states import RigState
from multirig.record.journal import holds_start


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
    lab: Any, until: Callable[..., Any]
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

    second = await lab.conductor(rigs={"main": str(rigs[0].addresses[0])})
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
