"""The published test vectors, replayed by a handshake that others wrote."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

VECTORS = json.loads(
    (Path(__file__).parents[3] / "docs/reference/seal-vectors.json").read_text(encoding="utf-8")
)
MARK = 0xF5
pytestmark = pytest.mark.filterwarnings("ignore:One of ephemeral keypairs")


def sides() -> tuple[Any, Any]:
    """Return both sides of the handshake of the vectors, as the other library makes them."""
    connection = pytest.importorskip("noise.connection")
    out = []
    for who in ("initiator", "responder"):
        one = connection.NoiseConnection.from_name(b"Noise_XX_25519_ChaChaPoly_BLAKE2s")
        one.set_as_initiator() if who == "initiator" else one.set_as_responder()
        for kind, key in (("STATIC", "private_key"), ("EPHEMERAL", "ephemeral_private_key")):
            own = bytes.fromhex(VECTORS[who][key])
            one.set_keypair_from_private_bytes(getattr(connection.Keypair, kind), own)
        one.set_prologue(bytes.fromhex(VECTORS["prologue"]))
        one.start_handshake()
        out.append(one)
    return out[0], out[1]


def payload(who: str, boot: str, called: str) -> bytes:
    certificate = VECTORS[who]["certificate"]
    signed = certificate["signed"].encode()
    about = {"boot": boot, "called": called, "list": 0, "wire": 2}
    packed = len(signed).to_bytes(2, "big") + signed + bytes.fromhex(certificate["signature"])
    return packed + json.dumps(about, separators=(",", ":")).encode()


def test_another_librarys_handshake_makes_the_same_bytes() -> None:
    initiator, responder = sides()
    own, theirs = (bytes.fromhex(VECTORS[who]["calls_the_channel"]) for who in ("initiator", "responder"))
    head = bytes([MARK, 1]) + own + bytes(initiator.write_message())
    lab = bytes.fromhex(VECTORS["lab"]["public_key"])
    check = hashlib.blake2s(head, key=lab, digest_size=16, person=b"mrighelo").digest()
    assert (head + check).hex() == VECTORS["hello"]
    responder.read_message(head[10:])
    answer = bytes(responder.write_message(payload("responder", "5eed00005eed0000", "cameras")))
    assert (bytes([MARK, 2]) + own + theirs + answer).hex() == VECTORS["answer"]
    initiator.read_message(answer)
    proof = bytes(initiator.write_message(payload("initiator", "c0ffee00c0ffee00", "behaviour-pc")))
    assert (bytes([MARK, 3]) + theirs + proof).hex() == VECTORS["proof"]
    responder.read_message(proof)
    frame = VECTORS["sealed_frame"]
    packet = bytes.fromhex(frame["packet"])
    assert packet[:18] == bytes([MARK, 4]) + theirs + frame["number"].to_bytes(8, "big")
    key = responder.noise_protocol.cipher_state_decrypt.k
    nonce = bytes(4) + frame["number"].to_bytes(8, "little")
    opened = ChaCha20Poly1305(key).decrypt(nonce, packet[18:], packet[:18])
    assert opened.decode() == frame["content"]


def test_signatures_are_over_the_line_that_says_what_it_is_and_the_text() -> None:
    lab = Ed25519PublicKey.from_public_bytes(bytes.fromhex(VECTORS["lab"]["public_key"]))
    for who in ("initiator", "responder"):
        certificate = VECTORS[who]["certificate"]
        lab.verify(
            bytes.fromhex(certificate["signature"]),
            b"multirig certificate 1\n" + certificate["signed"].encode(),
        )
        assert json.loads(certificate["signed"])["key"] == VECTORS[who]["public_key"]
    shut_out = VECTORS["lab"]["shut_out"]
    lab.verify(bytes.fromhex(shut_out["signature"]), b"multirig shut out 1\n" + shut_out["signed"].encode())


def test_probes_of_the_clock_are_sealed_under_keys_of_their_own() -> None:
    initiator, responder = sides()
    chain = initiator.noise_protocol.handshake_state.symmetric_state  # it is gone when the handshake is done
    responder.read_message(initiator.write_message())
    initiator.read_message(responder.write_message(payload("responder", "5eed00005eed0000", "cameras")))
    responder.read_message(initiator.write_message(payload("initiator", "c0ffee00c0ffee00", "behaviour-pc")))
    keys = _derive(chain.ck, b"multirig clock")
    clock = VECTORS["clock"]
    for kind, key, number in (
        ("probe", keys[0], clock["number"]),
        ("answer", keys[1], 2 * clock["number"]),
        ("stamps_of_answer", keys[1], 2 * clock["number"] + 1),
    ):
        packet = bytes.fromhex(clock[kind])
        nonce = bytes(4) + number.to_bytes(8, "little")
        content = ChaCha20Poly1305(key).decrypt(nonce, packet[18:], packet[:18])
        stamps = [
            int.from_bytes(content[begin:end], "big", signed=end < 20)
            for begin, end in ((0, 8), (8, 16), (16, 20))
        ]
        assert stamps == ([0, 0, 0] if kind == "answer" else clock["stamps"])


def _derive(key: bytes, text: bytes) -> list[bytes]:
    secret = hmac.new(key, text, hashlib.blake2s).digest()
    first = hmac.new(secret, b"\x01", hashlib.blake2s).digest()
    return [first, hmac.new(secret, first + b"\x02", hashlib.blake2s).digest()]
