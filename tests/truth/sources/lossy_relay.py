"""Passes UDP datagrams on and loses some; run as a program.

``python -m tests.truth.sources.lossy_relay PORT_TO LOSS LONGEST``: prints ``ready PORT``. LOSS is the
share that is lost, by a fixed seed; what has more than LONGEST bytes is always lost, as on a path that
drops fragments. Answers find their way back to whoever spoke last.
"""

from __future__ import annotations

import random
import selectors
import socket
import sys
import threading


def main(to: int, loss: float, longest: int) -> None:
    """Relay until standard input ends."""
    near, far = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    near.bind(("127.0.0.1", 0))
    far.connect(("127.0.0.1", to))
    print("ready", near.getsockname()[1], flush=True)
    threading.Thread(target=_pass, args=(near, far, random.Random(1), loss, longest), daemon=True).start()
    sys.stdin.read()


def _pass(near: socket.socket, far: socket.socket, dice: random.Random, loss: float, longest: int) -> None:
    chosen, peers = selectors.DefaultSelector(), {}
    chosen.register(near, selectors.EVENT_READ)
    chosen.register(far, selectors.EVENT_READ)
    while True:
        for key, _ in chosen.select():
            try:
                data, sender = key.fileobj.recvfrom(65_536)
                if key.fileobj is near:
                    peers["last"] = sender
                if len(data) > longest or dice.random() < loss:
                    continue
                if key.fileobj is near:
                    far.send(data)
                elif "last" in peers:
                    near.sendto(data, peers["last"])
            except ConnectionError:
                continue


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
