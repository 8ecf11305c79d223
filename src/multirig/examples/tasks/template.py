"""A task to copy: what is yours goes where the comments say.

Run it with ``multirig run template.py --subject SP_01``, and with rigs: ``--remote cameras ephys``.
"""

from __future__ import annotations

import argparse
import json
import time

from multirig.ibl import NetworkSession, get_task_arguments


class Session(NetworkSession):
    """A task that counts its trials and does nothing in them."""

    # Your task's name, in the settings, the description and Alyx.
    protocol_name = "template"

    def __init__(self, *args: object, trials: int = 3, **kwargs: object) -> None:
        # Set what your hooks need before the line with super(): that one already talks to the rigs.
        self.trials = trials
        super().__init__(*args, **kwargs)

    @staticmethod
    def extra_parser() -> argparse.ArgumentParser:
        """Add the task's own options; each becomes an argument of the constructor."""
        parser = NetworkSession.extra_parser()
        # Your options.
        parser.add_argument("--trials", type=int, default=3, help="how many (default: %(default)s)")
        return parser

    def start_hardware(self) -> None:
        """Connect what the task drives; nothing is on the disk yet, and no rig records."""
        # Your hardware. Whatever a method called stop_mixin_… or cleanup_mixin_… lets go of is let go of at
        # the end, also after an error.

    def _run(self) -> None:
        """Run the trials; every rig records from before the first to after the last."""
        with self.paths.DATA_FILE_PATH.open("a", encoding="utf-8") as file:
            for trial in range(self.trials):
                if self.stop_requested:
                    break
                # Your trial.
                record = {"trial": trial, "at": time.perf_counter()}
                file.write(json.dumps(record) + "\n")
                file.flush()
                self.session_info.NTRIALS += 1


if __name__ == "__main__":
    session = Session(**get_task_arguments(parents=[Session.extra_parser()]))
    session.run()
