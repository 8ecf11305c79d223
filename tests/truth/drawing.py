"""A frame's own number, drawn into its picture so that it outlives any codec; pure Python, no library.

A picture is 8 × 7 squares of 16 pixels. Six rows are bits (24 of the number, 8 of the camera, 16 that check
them), and the last row is eight greys from black to white, to see what became of the grey values.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

SQUARE = 16
COLUMNS, ROWS = 8, 7
WIDTH, HEIGHT = COLUMNS * SQUARE, ROWS * SQUARE
GREYS = tuple(round(step * 255 / (COLUMNS - 1)) for step in range(COLUMNS))
DARK, LIGHT = 48, 208
"""Far enough from each other and from the ends of every range."""
MIDDLE = (DARK + LIGHT) // 2
_NUMBER_BITS, _CAMERA_BITS, _CHECK_BITS = 24, 8, 16


def squares_of(number: int, camera: int) -> list[int]:
    """Return the grey value of each square of a picture, row by row."""
    value = (number << _CAMERA_BITS | camera) << _CHECK_BITS | _check(number, camera)
    bits = range(_NUMBER_BITS + _CAMERA_BITS + _CHECK_BITS - 1, -1, -1)
    return [LIGHT if value >> bit & 1 else DARK for bit in bits] + list(GREYS)


def read_squares(values: Sequence[float]) -> tuple[int, int] | None:
    """Return number and camera of a picture by the mean grey of each square; None: it is damaged."""
    value = 0
    for one in values[: -len(GREYS)]:
        value = value << 1 | int(one > MIDDLE)
    number, camera = value >> _CHECK_BITS + _CAMERA_BITS, value >> _CHECK_BITS & (1 << _CAMERA_BITS) - 1
    return (number, camera) if value & (1 << _CHECK_BITS) - 1 == _check(number, camera) else None


def _check(number: int, camera: int) -> int:
    return zlib.crc32(number.to_bytes(4, "big") + bytes([camera])) & (1 << _CHECK_BITS) - 1


def grey_picture(number: int, camera: int) -> bytes:
    """Return the picture as grey values, row by row: full range, one byte a pixel."""
    squares = squares_of(number, camera)
    return b"".join(
        b"".join(bytes([one]) * SQUARE for one in squares[row * COLUMNS : (row + 1) * COLUMNS]) * SQUARE
        for row in range(ROWS)
    )


STUDIO = bytes(round(16 + value * 219 / 255) for value in range(256))
"""Full-range grey as the luma of video, for `bytes.translate`."""


# -- JPEG ----------------------------------------------------------------------------------------------------

_STEP = 8
"""Of the mean of a block that is one grey; quantised by 1, so that every grey is exact."""
_DC_SYMBOLS = bytes(range(12))
"""How many bits a difference has; each symbol has a code of four bits."""
_EOB = "0"
"""The rest of a block is zero; the only code for what is finer than the mean."""


def _segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content


def _header(width: int, height: int) -> bytes:
    quantisation = _segment(0xDB, b"\x00" + b"\x01" * 64)
    # three components, the colours at half the size: what FFmpeg calls yuvj420p, as most cameras send
    components = b"\x03\x01\x22\x00\x02\x11\x00\x03\x11\x00"
    frame = _segment(0xC0, b"\x08" + height.to_bytes(2, "big") + width.to_bytes(2, "big") + components)
    lengths = [0] * 16
    lengths[3] = len(_DC_SYMBOLS)
    dc = _segment(0xC4, b"\x00" + bytes(lengths) + _DC_SYMBOLS)
    ac = _segment(0xC4, b"\x10\x01" + bytes(15) + b"\x00")
    scan = _segment(0xDA, b"\x03\x01\x00\x02\x00\x03\x00\x00\x3f\x00")
    return b"\xff\xd8" + quantisation + frame + dc + ac + scan


_HEADER = _header(WIDTH, HEIGHT)


def _code(difference: int) -> str:
    """Return the bits of a block whose mean differs so much from the one before."""
    if not difference:
        return "0000" + _EOB
    size = abs(difference).bit_length()
    value = difference if difference > 0 else difference + (1 << size) - 1
    return f"{size:04b}{value:0{size}b}{_EOB}"


_CODES: dict[int, str] = {}


def jpeg_picture(number: int, camera: int) -> bytes:
    """Return the picture as a baseline JPEG, whose decoded grey values are exact."""
    before, bits = 0, []
    still = _code(0) * 5  # three more blocks of the square, and its two colours
    for one in squares_of(number, camera):
        level = (one - 128) * _STEP
        difference = level - before
        if difference not in _CODES:
            _CODES[difference] = _code(difference)
        bits.append(_CODES[difference])
        bits.append(still)
        before = level
    text = "".join(bits)
    text += "1" * (-len(text) % 8)
    scan = int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\x00")
    return _HEADER + scan + b"\xff\xd9"
