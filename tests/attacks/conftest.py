"""A default lab over a cable: two PCs with keys, a rig on one, and strangers that mean harm."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.integration.conftest import (  # noqa: F401  what its tests use, these use too
    _a_state_of_its_own,
    note,
    pytest_pyfunc_call,
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
        rig = self.rig(name, uri=f"udp://{Cable.THERE}:{keys.pop('port', 11001)}", main_sync=True, **keys)
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

    def harm(self, *arguments: str, place: int = 0) -> str:
        """Do harm from a PC; return what came back, line by line."""
        command = [*self.cable.enter(place), sys.executable, str(HARM), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


@pytest.fixture
def keyed_lab(tmp_path: Path, cable: Cable) -> KeyedLab:
    return KeyedLab(tmp_path, cable)
