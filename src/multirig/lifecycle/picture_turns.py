"""Which live pictures go into a message that cannot hold all of them."""

from __future__ import annotations

from collections.abc import Sequence

MAX_ASKERS = 64
"""Of so many it is remembered whose turn is next; few watch one rig."""


class PictureTurns:
    """Lets every picture have its turn, for each who asks."""

    def __init__(self) -> None:
        self._next: dict[str, int] = {}
        """By asker: the first picture that its last answer had no room for."""

    def choose(self, asker: str, sizes: Sequence[int], room: int) -> list[int]:
        """Return which pictures fit, in their order.

        Parameters
        ----------
        asker : str
            Who will get them.
        sizes : sequence of int
            Bytes of each; one that is larger than the room is never chosen.
        room : int
            Bytes that they may have together.
        """
        begin = self._next.pop(asker, 0)
        possible = [which for which, size in enumerate(sizes) if size <= room]
        in_turn = [which for which in possible if which >= begin] + [one for one in possible if one < begin]
        chosen: list[int] = []
        for which in in_turn:
            if sizes[which] <= room:
                chosen.append(which)
                room -= sizes[which]
        left = [which for which in in_turn if which not in chosen]
        if left:
            while len(self._next) >= MAX_ASKERS:
                del self._next[next(iter(self._next))]
            self._next[asker] = left[0]
        return sorted(chosen)
