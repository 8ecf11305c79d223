"""What the pages talk to."""

from __future__ import annotations

from pathlib import Path


class Console:
    """The lab of one rigs file, as this PC knows it.

    Parameters
    ----------
    rigs_file : pathlib.Path
        The rigs file.
    data_folder : pathlib.Path
        Where this PC's part of a session goes.
    lab : str
        Name of the lab.
    """

    def __init__(self, rigs_file: Path, data_folder: Path, lab: str) -> None:
        self.rigs_file = rigs_file
        self.data_folder = data_folder
        self.lab = lab

    async def open(self) -> None:
        """Begin to look at the lab."""

    async def close(self) -> None:
        """End it; a session goes on."""
