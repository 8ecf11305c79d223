from __future__ import annotations

from typing import Any

from multirig.conductor.naming import learn_names
from multirig.config import Uri


def where(rig: Any) -> Uri:
    return Uri.parse(str(rig.addresses[0]))


async def test_a_rig_that_is_given_by_its_address_is_called_by_its_name(lab: Any) -> None:
    eye, ear = where(await lab.rig("eye", over="udp")), where(await lab.rig("ear", over="tcp"))
    assert await learn_names({str(eye): eye, "my ear": ear}) == {"eye": eye, "my ear": ear}


async def test_of_two_with_one_name_and_of_one_that_is_off_the_address_is_the_name(lab: Any) -> None:
    one = where(await lab.rig("eye", over="udp"))
    off = Uri.parse("udp://127.0.0.1:9")
    rigs = {str(one): one, "eye": off, str(off): off}
    assert await learn_names(rigs) == rigs
