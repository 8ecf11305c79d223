"""What two PCs make of a code: nothing is said before both have proved that they know it."""

from __future__ import annotations

import hmac
import itertools
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st
from spake2 import SPAKE2_A

from multirig.errors import ConfigError, TrustError
from multirig.keyring.joining.code import DIGITS, make_code, read_code, show_code
from multirig.keyring.joining.handshake import IDENTITIES, PROTOCOL, Handshake, Side, WrongCode

CODE = "042917"


def greet(one: str = CODE, other: str = CODE) -> tuple[Handshake, Handshake]:
    new, lab = Handshake(Side.NEW, one), Handshake(Side.LAB, other)
    lab.take_greeting(new.greeting)
    new.take_greeting(lab.greeting)
    return new, lab


def meet() -> tuple[Handshake, Handshake]:
    new, lab = greet()
    lab.check_proof(new.proof)
    new.check_proof(lab.proof)
    return new, lab


def test_both_that_know_the_code_speak_with_each_other() -> None:
    new, lab = meet()
    for number in range(3):
        assert lab.open(new.seal({"name": f"vidéo {number}"})) == {"name": f"vidéo {number}"}
        assert new.open(lab.seal({"number": number})) == {"number": number}


@pytest.mark.attack
def test_whoever_does_not_know_the_code_proves_nothing_and_reads_nothing() -> None:
    new, lab = greet("000001", CODE)
    with pytest.raises(WrongCode):
        lab.check_proof(new.proof)
    with pytest.raises(WrongCode):
        new.check_proof(lab.proof)
    for one in (new, lab):
        with pytest.raises(TrustError, match="has not proved yet"):
            one.seal({"name": "video"})
        with pytest.raises(TrustError, match="has not proved yet"):
            one.open(b"0" * 40)


@pytest.mark.attack
def test_a_proof_that_comes_back_is_none() -> None:
    new, lab = greet()
    for one in (new, lab):
        with pytest.raises(WrongCode):
            one.check_proof(one.proof)
        with pytest.raises(WrongCode):
            one.check_proof(b"")


@pytest.mark.attack
def test_a_greeting_that_comes_back_or_is_of_the_same_side_is_refused() -> None:
    for side in Side:
        one, same = Handshake(side, CODE), Handshake(side, CODE)
        for greeting in (one.greeting, same.greeting):
            with pytest.raises(TrustError, match="its first message is none"):
                Handshake(side, CODE).take_greeting(greeting)
        letter = {Side.NEW: b"B", Side.LAB: b"A"}[side]
        turned = PROTOCOL + letter + one.greeting[len(PROTOCOL) + 1 :]
        with pytest.raises(TrustError, match="its first message is none"):
            one.take_greeting(turned)


@pytest.mark.attack
def test_a_proof_of_another_conversation_is_none() -> None:
    new, _ = greet()
    _, lab = greet()
    with pytest.raises(WrongCode):
        lab.check_proof(new.proof)


@pytest.mark.attack
def test_a_sealed_word_that_is_repeated_lost_turned_back_or_changed_is_refused() -> None:
    new, lab = meet()
    first, second = new.seal({"n": 1}), new.seal({"n": 2})
    with pytest.raises(TrustError, match="not from the PC"):
        new.open(first)
    new, lab = meet()
    first, second = new.seal({"n": 1}), new.seal({"n": 2})
    with pytest.raises(TrustError, match="not from the PC"):
        lab.open(second)
    new, lab = meet()
    first = new.seal({"n": 1})
    assert lab.open(first) == {"n": 1}
    with pytest.raises(TrustError, match="not from the PC"):
        lab.open(first)
    for at in range(len(first)):
        new, lab = meet()
        sealed = bytearray(new.seal({"n": 1}))
        sealed[at] ^= 1
        with pytest.raises(TrustError, match="not from the PC"):
            lab.open(bytes(sealed))


@pytest.mark.attack
@given(st.binary(max_size=200))
def test_whatever_comes_as_a_greeting_or_a_proof_is_refused_in_words(data: bytes) -> None:
    for greeting in (data, PROTOCOL + data, PROTOCOL + b"A" + data[:32].ljust(32, b"\0")):
        lab = Handshake(Side.LAB, CODE)
        try:
            lab.take_greeting(greeting)
        except TrustError:
            continue
        with pytest.raises(WrongCode):
            lab.check_proof(data)


@pytest.mark.attack
@pytest.mark.parametrize(
    "point", [b"\0" * 32, b"\1" + b"\0" * 31, b"\xff" * 32, (2**255 - 20).to_bytes(32, "little")]
)
def test_points_of_a_small_order_are_no_greeting(point: bytes) -> None:
    with pytest.raises(TrustError):
        Handshake(Side.LAB, CODE).take_greeting(PROTOCOL + b"A" + point)


def test_the_bytes_are_those_of_the_specification() -> None:
    """Written once more, as docs/reference/joining.md says it, with nothing of ours but the code."""
    lab = Handshake(Side.LAB, CODE)
    spake = SPAKE2_A(b"042917", idA=b"multirig join 1 new PC", idB=b"multirig join 1 lab key")
    hello = b"multirig join 1\n" + spake.start()
    lab.take_greeting(hello)
    shared = spake.finish(lab.greeting[16:])
    transcript = sha256(hello + lab.greeting).digest()

    def derive(what: bytes) -> bytes:
        return HKDF(SHA256(), 32, salt=transcript, info=b"multirig join 1\n" + what).derive(shared)

    lab.check_proof(hmac.new(derive(b"proof of new PC"), transcript, "sha256").digest())
    assert lab.proof == hmac.new(derive(b"proof of lab key"), transcript, "sha256").digest()
    sealed = ChaCha20Poly1305(derive(b"words of new PC")).encrypt(bytes(12), b'{"name": "x"}', None)
    assert lab.open(sealed) == {"name": "x"}
    answer = lab.seal({"a": 1}), lab.seal({"a": 2})
    cipher = ChaCha20Poly1305(derive(b"words of lab key"))
    assert [cipher.decrypt(bytes(11) + bytes([n]), one, None) for n, one in enumerate(answer)] == [
        b'{"a": 1}',
        b'{"a": 2}',
    ]
    assert b"".join(IDENTITIES) == b"multirig join 1 new PCmultirig join 1 lab key"


# -- the code ------------------------------------------------------------------------------------------------


def test_codes_are_six_digits_and_no_two_the_same() -> None:
    codes = [make_code() for _ in range(300)]
    assert all(len(one) == DIGITS and one.isdecimal() for one in codes)
    assert len(set(codes)) > 290
    assert {one[0] for one in codes} == set("0123456789")


@pytest.mark.parametrize(
    "typed", ["042917", "042 917", " 042-917\t", "0 4 2 9 1 7", "042 917\n", "０４２９１７", "042\u00a0917"]
)
def test_a_code_may_be_typed_with_spaces(typed: str) -> None:
    assert read_code(typed) == CODE
    assert read_code(show_code(CODE)) == CODE


@pytest.mark.parametrize(
    "typed", ["", "04291", "0429177", "04291x", "٠٤٢٩١٧", "042917\x1b[2J", "-42917", "4.2917e5"]
)
def test_what_is_no_code_is_told(typed: str) -> None:
    with pytest.raises(ConfigError, match="type the 6 digits that the other screen shows"):
        read_code(typed)


def test_no_key_is_used_for_two_purposes() -> None:
    new, lab = meet()
    made = [new._derive(f"{what} of {side.value}") for what in ("proof", "words") for side in Side]
    assert made == [lab._derive(f"{what} of {side.value}") for what in ("proof", "words") for side in Side]
    assert all(one != other for one, other in itertools.combinations(made, 2))
