"""A session that goes on already: joined, and not spoiled by a beginning that fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from multirig.errors import AgreementError, SessionFailed
from multirig.lifecycle.rig_states import RigState
from multirig.lifecycle.session_states import SessionState
from multirig.record.journal import holds_start


async def test_a_main_sync_that_was_started_by_hand_gives_its_number_and_is_joined(lab: Any) -> None:
    main, cam = await lab.rigs_of_a_session("cam")
    exp_ref = await main.start_here("SP_01")
    conductor = await lab.conductor()
    assert await conductor.agree("SP_01") == exp_ref
    await conductor.init()
    await conductor.start()
    assert main.adapter.calls.count("start") == cam.adapter.calls.count("start") == 1
    await conductor.stop()
    assert main.machine.state is cam.machine.state is RigState.STOPPED


async def test_a_beginning_that_fails_leaves_the_recording_that_it_wanted_to_join(lab: Any) -> None:
    main, cam = await lab.rig("main", main_sync=True), await lab.rig("cam", fake={"fail": {"start": "dark"}})
    await main.start_here("SP_01")
    conductor = await lab.conductor()
    await conductor.agree("SP_01")
    await conductor.init()
    with pytest.raises(SessionFailed, match="main was recording before and goes on"):
        await conductor.start()
    assert main.machine.state is RigState.RUNNING
    assert "stop" not in main.adapter.calls
    assert cam.machine.state is RigState.CONNECTED


async def test_a_conductor_that_is_closed_before_its_start_leaves_it_too(lab: Any) -> None:
    main, cam = await lab.rigs_of_a_session("cam")
    await main.start_here("SP_01")
    conductor = await lab.conductor()
    await conductor.agree("SP_01")
    await conductor.init()
    await conductor.close()
    assert main.machine.state is RigState.RUNNING
    assert cam.machine.state is RigState.CONNECTED


async def test_another_conductor_goes_on_with_the_session_of_one_that_vanished(
    lab: Any, until: Callable[..., Any]
) -> None:
    rigs = await lab.rigs_of_a_session("cam")
    first = await lab.conductor()
    exp_ref = await first.agree("SP_01")
    await first.init()
    await first.start()
    await first._clocks.close()
    await first.runtime.close()  # as a killed program: nobody is told
    lab.conductors.remove(first)
    first._close_journal()  # as the system does for it

    second = await lab.conductor(rigs={"main": str(rigs[0].addresses[0])})
    with pytest.raises(AgreementError, match=r"main is led by .*: end the session there, or take it over"):
        await second.agree("SP_01")
    await until(lambda: rigs[0].snapshot().conductor_silent)
    assert await second.agree("SP_01") == exp_ref
    await second.init()
    await second.start()
    assert rigs[0].adapter.calls.count("start") == 1
    await second.stop()
    assert rigs[0].machine.state is RigState.STOPPED
    await rigs[1].stop_here()


async def test_a_number_whose_journal_holds_a_start_is_not_used_twice(lab: Any) -> None:
    first = await lab.rig("main", main_sync=True)
    conductor = await lab.conductor()
    await conductor.agree("SP_01")
    folder, conductor_ref = conductor.session_folder, conductor.exp_ref
    await conductor.init()
    await conductor.start()
    await conductor.stop()
    await conductor.cleanup()
    assert holds_start(folder)

    other = await lab.rig("ephys", main_sync=True)  # another PC counts from 1 again
    again = await lab.conductor(rigs={"ephys": str(other.addresses[0])})
    assert (await again.agree("SP_01")).sequence == 2  # a multirig is told from where it may count

    other._next_exp_ref = lambda subject, at_least: conductor_ref  # a foreign main sync is not
    with pytest.raises(AgreementError, match="has been recorded already"):
        await again.agree("SP_01")
    assert again.state is SessionState.IDLE
    assert other.machine.state is first.machine.state is RigState.CONNECTED


async def test_a_number_that_was_given_back_is_used_again(lab: Any) -> None:
    await lab.rig(
        "main", main_sync=True, fake={"fail": {"initialise": "cold"}, "fail_times": {"initialise": 1}}
    )
    conductor = await lab.conductor()
    exp_ref = await conductor.agree("SP_01")
    with pytest.raises(SessionFailed, match="cold"):
        await conductor.init()
    assert await conductor.agree("SP_01") == exp_ref
    assert not holds_start(conductor.session_folder)
