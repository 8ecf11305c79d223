"""What a rig's service needs of the PC that it runs on; the simulator's PCs are kinds of it."""

from __future__ import annotations

import contextlib
import datetime
import random
import secrets
import time
from collections.abc import Callable
from threading import Thread

from multirig.collect.calling import CollectWorker
from multirig.config import CollectRules, RigConfig
from multirig.folders import subjects_folder
from multirig.keyring.door import Access
from multirig.lifecycle.rig_events import Gathered
from multirig.pc.awake import Awake
from multirig.pc.instant import come_near, undisturbed, wait_for
from multirig.pc.recording import RecordingSign
from multirig.rig.collecting import Collecting
from multirig.rig.storage import DiskStorage, Storage


class Computer:
    """This PC: its clocks, its disk, its threads."""

    def draw(self, low: float, high: float) -> float:
        """Return a number between two, each as likely as the others."""
        return random.uniform(low, high)

    def make_boot_id(self) -> str:
        """Return an id that no other start of a program has."""
        return secrets.token_hex(8)

    def read_clock(self) -> int:
        """Return nanoseconds of a clock that never goes back: the one that adapters read too."""
        return time.perf_counter_ns()

    def read_wall_clock(self) -> datetime.datetime:
        """Return the time of day, with its zone."""
        return datetime.datetime.now().astimezone()

    def read_access(self) -> Access:
        """Return by what this PC tells who is of its lab. Raises ConfigError, TrustError."""
        return Access.of_this_pc()

    def open_storage(self, config: RigConfig) -> Storage:
        """Return where a rig keeps what must last."""
        return DiskStorage(config)

    def make_awake(self, why: str) -> Awake:
        """Return what keeps the PC from going to sleep; why, for whoever asks the system."""
        return Awake(why)

    def make_collecting(
        self,
        config: RigConfig,
        rules: CollectRules | None,
        feed: Callable[[Gathered], None],
        warn: Callable[[str], None],
    ) -> Collecting:
        """Return what copies the sessions in a rig's data folder, and what it takes the answers of."""
        worker = CollectWorker(subjects_folder(config.data_folder, config.lab))
        return Collecting(worker, RecordingSign(config.name), rules, feed, warn)

    def begin_thread(self, work: Callable[[], None], name: str) -> None:
        """Let something run beside everything else; the end of the program does not wait for it."""
        Thread(target=work, name=name, daemon=True).start()

    def keep_quiet(self) -> contextlib.AbstractContextManager[None]:
        """Keep away what would disturb an instant."""
        return undisturbed()

    async def wait_for_instant(self, find: Callable[[], int]) -> None:
        """Return at an instant; just before it nothing else happens in this thread.

        Parameters
        ----------
        find : callable
            Returns when it is, on `read_clock`; asked again and again, since clocks may be known better
            meanwhile.
        """
        wait_for(await come_near(find))
