"""Whether the keys of a PC have changed, for programs that run for weeks."""

from __future__ import annotations

from pathlib import Path

from multirig.errors import MultirigError
from multirig.keyring.files import PC_NAME, read_keys
from multirig.keyring.place import key_folder
from multirig.trust.keys import Keys

_Mark = tuple[tuple[str, int, int, int, int], ...]


class KeyWatch:
    """This PC's keys as they are now; a look costs one listing of a folder, so every few seconds will do.

    Parameters
    ----------
    folder : pathlib.Path, optional
        Where they lie; without it ``MULTIRIG_KEYS``, or the user's own folder.

    Raises
    ------
    ConfigError
        They cannot be read at first; see `read_keys`. Later that stands in `trouble`, and the old ones count.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = key_folder() if folder is None else folder
        self._seen = self._look()
        self.keys: Keys | None = read_keys(self._folder)
        """None: this PC has none."""
        self.trouble: str | None = None
        """Why what lies there now could not be read; one line."""

    def has_changed(self) -> bool:
        """Look at the files; where they have changed, read them, and return whether the keys differ."""
        seen = self._look()
        if seen == self._seen:
            return False
        self._seen = seen
        before = self.keys
        try:
            self.keys, self.trouble = read_keys(self._folder), None
        except MultirigError as error:
            self.trouble = str(error)
        return self.keys != before

    def _look(self) -> _Mark:
        try:
            told = self._folder.stat()
            found = [("", 0, 0, told.st_ino, told.st_mode)]  # keys count only while others cannot read them
            for one in self._folder.iterdir():
                if one.name == PC_NAME or (one.name.startswith("lab-") and one.suffix == ".json"):
                    told = one.stat()
                    found.append((one.name, told.st_mtime_ns, told.st_size, told.st_ino, told.st_mode))
        except OSError:
            return ()  # being changed, or not there: the next look tells
        return tuple(sorted(found))
