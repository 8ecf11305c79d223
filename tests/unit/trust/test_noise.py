"""The handshake, held to one that others wrote."""

from __future__ import annotations

import pytest

from multirig.errors import TrustError
from multirig.trust.noise import NAME, Handshake

KEYS = [bytes([number]) * 32 for number in (1, 2, 3, 4)]


def both(prologue: bytes = b"lab") -> tuple[Handshake, Handshake]:
    first = Handshake(initiates=True, private=KEYS[0], ephemeral=KEYS[1], prologue=prologue)
    second = Handshake(initiates=False, private=KEYS[2], ephemeral=KEYS[3], prologue=prologue)
    return first, second


def test_both_sides_get_the_same_keys_and_know_each_other() -> None:
    first, second = both()
    assert second.read(first.write(b"hello")) == b"hello"
    assert first.read(second.write(b"here")) == b"here"
    assert second.read(first.write(b"proof")) == b"proof"
    assert first.is_done
    assert second.is_done
    assert first.split() == second.split()[::-1]
    assert first.export(b"clock") == second.export(b"clock")[::-1]
    assert first.export(b"clock") != first.split()
    assert (first.theirs, second.theirs) == (public(KEYS[2]), public(KEYS[0]))


def public(private: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


@pytest.mark.parametrize("initiates", [True, False])
def test_it_gets_along_with_a_handshake_that_others_wrote(initiates: bool) -> None:
    connection = pytest.importorskip("noise.connection")
    theirs = connection.NoiseConnection.from_name(NAME)
    theirs.set_keypair_from_private_bytes(connection.Keypair.STATIC, KEYS[0])
    theirs.set_prologue(b"multirig")
    theirs.set_as_responder() if initiates else theirs.set_as_initiator()
    theirs.start_handshake()
    ours = Handshake(initiates=initiates, private=KEYS[2], ephemeral=KEYS[3], prologue=b"multirig")
    writers = [ours, theirs, ours] if initiates else [theirs, ours, theirs]
    for number, writer in enumerate(writers):
        text = b"payload %d" % number
        if writer is ours:
            assert theirs.read_message(ours.write(text)) == text
        else:
            assert ours.read(bytes(theirs.write_message(text))) == text
    assert theirs.handshake_finished
    assert ours.theirs == public(KEYS[0])
    from multirig.trust.channel import Channel

    send, receive = ours.split()
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    from multirig.trust.noise import nonce

    assert theirs.decrypt(ChaCha20Poly1305(send).encrypt(nonce(0), b"from us", b"")) == b"from us"
    assert ChaCha20Poly1305(receive).decrypt(nonce(0), theirs.encrypt(b"from them"), b"") == b"from them"
    assert Channel is not None


def test_what_is_forged_changes_nothing_and_the_true_one_still_counts() -> None:
    first, second = both()
    second.read(first.write())
    answer = second.write(b"certificate")
    for at in range(len(answer)):
        broken = bytearray(answer)
        broken[at] ^= 1
        with pytest.raises(TrustError):
            first.read(bytes(broken))
        with pytest.raises(TrustError):
            first.read(answer[:at])
    assert first.read(answer) == b"certificate"


def test_a_message_that_is_not_due_is_refused() -> None:
    first, second = both()
    with pytest.raises(TrustError, match="not due"):
        second.write()
    with pytest.raises(TrustError, match="not due"):
        first.read(bytes(100))
    with pytest.raises(TrustError, match="not said"):
        _ = first.theirs


def test_keys_that_give_everybody_the_same_secret_are_refused() -> None:
    _, second = both()
    second.read(bytes(32))  # the first message is not sealed, and nothing is shared yet
    with pytest.raises(TrustError, match="none"):
        second.write()


def test_another_prologue_is_another_handshake() -> None:
    first, _ = both(b"one")
    _, second = both(b"other")
    second.read(first.write())
    with pytest.raises(TrustError):
        first.read(second.write())
