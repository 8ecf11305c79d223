"""A default lab over a cable: two PCs with keys, rigs on one, and strangers that mean harm.

What can be shown without a network is tried in `tests/unit/trust/test_attacks_*.py`, hundreds of times as
quickly. Faults that were once done for real to a lab without keys, and what tries them now:

S1   one datagram takes over, starts, recovers
         test_default_lab, test_recording_under_attack,
         unit/trust/test_attacks_budget, integration/rig/test_own_verbs
S2   a forged frame with n = low = 10⁹
         unit/trust/test_sealed_nodes, test_attacks_budget
S3   forged probes and stamps of the clock
         test_clock
S4   frames of the leader's boot from elsewhere
         unit/trust/test_attacks_identity, test_attacks_path
S5   a heartbeat with a number far ahead
         unit/trust/test_attacks_identity, test_attacks_budget
S6   amplification
         unit/trust/test_attacks_budget, test_attacks_path,
         test_recording_under_attack (in bytes, on the wire)
S7   names that are scripts
         integration/dashboard/test_hostile_names
S8   memory and descriptors
         unit/trust/test_attacks_budget, test_recording_under_attack
S9   a stranger's Alyx token
         unit/trust/test_attacks_identity, test_attacks_roles
S10  pictures of the animal room
         unit/trust/test_attacks_roles, test_recording_under_attack
S11  password and tasks beside a rigs file
         unit/dashboard/door/test_rules, integration/dashboard/test_server
S12  leases, names, passwords, integers, CSV
         unit/trust/test_attacks_budget, unit/protocol/test_dialect,
         unit/dashboard/door/test_rules, integration/test_logs,
         integration/rig/test_manifest, unit/reading/test_reading
S13  versions with known holes
         unit/test_floors, make audit

Joining with a wrong code and with somebody in the middle: unit/keyring/test_handshake and
integration/keyring/test_joining.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.integration.conftest import (  # noqa: F401  what its tests use, these use too
    _a_state_of_its_own,
    note,
    pytest_pyfunc_call,
    pytest_terminal_summary,
)
from tests.integration.faults.conftest import Cable, LabOfPrograms, Program, RigProgram
from tests.integration.faults.conftest import cable as cable

from multirig.keyring import Keyring
from multirig.trust.certificate import LabKey
from multirig.trust.roles import Role

HARM = Path(__file__).parent / "harm.py"
"""A program that sends what it is told to, from whichever network it runs in."""


class KeyedLab(LabOfPrograms):
    """Programs on two PCs that a cable joins, each with the keys of its PC."""

    def __init__(self, folder: Path, wire: Cable) -> None:
        super().__init__(folder)
        self.cable = wire
        self.ring = Keyring(folder / "lab-keys")
        self.lab_key: LabKey = self.ring.make_lab_key("cortexlab")

    def add_pc(self, name: str, role: Role) -> dict[str, str]:
        """Return the environment of programs on a PC of the lab."""
        own = Keyring(self.folder / "keys" / name)
        own.make_own_key(name)
        keys = own.read()
        assert keys is not None
        own.add(self.lab_key.lab, self.ring.certify(self.lab_key, keys.public, name, role))
        return {"MULTIRIG_KEYS": str(own.folder)}

    def no_key(self, name: str) -> dict[str, str]:
        """Return the environment of programs on a PC without a key."""
        return {"MULTIRIG_KEYS": str(self.folder / "keys" / name)}

    async def open_rig(self, environment: dict[str, str], name: str = "cameras", **keys: Any) -> RigProgram:
        """Start a rig on the PC over there."""
        uri = f"{keys.pop('scheme', 'udp')}://{Cable.THERE}:{keys.pop('port', 11001)}"
        rig = self.rig(name, uri=uri, **{"main_sync": True, **keys})
        rig._environment |= environment
        await rig.open(*self.cable.enter(1))
        return rig

    def lead(self, environment: dict[str, str], *options: str) -> Program:
        """Start ``multirig run`` on the PC here."""
        lines = [f"{name}: {rig.uri}\n" for name, rig in self.rigs.items()]
        (self.folder / "rigs.yaml").write_text("".join(lines))
        chosen = ("-s", "SP_01", "--rigs-file", "rigs.yaml", "--remote", *self.rigs)
        return self.say(environment, "run", *chosen, "--data", str(self.folder / "pc"), *options)

    def say(self, environment: dict[str, str], *command: str, place: int = 0) -> Program:
        """Start a command of multirig on a PC."""
        program = Program(self.folder, f"{command[0]}-{len(self._programs)}")
        program._environment |= environment
        self._programs.append(program)
        program.start(*command, before=self.cable.enter(place))
        return program

    async def harm(self, what: str, rig: RigProgram, place: int = 0, **arguments: Any) -> dict[str, Any]:
        """Do harm to a rig from a PC; return what came of it."""
        host, port = rig.uri.partition("://")[2].split(":")
        told = json.dumps({"to": host, "port": int(port), **arguments})
        process = await asyncio.create_subprocess_exec(
            *self.cable.enter(place), sys.executable, str(HARM), what, told, stdout=asyncio.subprocess.PIPE
        )
        said, _ = await process.communicate()
        assert process.returncode == 0
        return dict(json.loads(said))


@pytest.fixture
def keyed_lab(tmp_path: Path, cable: Cable) -> KeyedLab:
    return KeyedLab(tmp_path, cable)
