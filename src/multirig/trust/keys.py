"""All that one PC has: its key, and the labs that it belongs to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timezone

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from multirig.errors import TrustError
from multirig.trust.certificate import Certificate, Lab, ShutOut

SOON = 60 * 86_400
"""Seconds before a certificate is over, from when on screens say so."""


class Unwelcome(TrustError):
    """A PC has proved who it is, and may not speak here all the same."""


@dataclass(frozen=True, slots=True)
class Membership:
    """That a PC is of a lab."""

    lab: Lab
    certificate: Certificate
    """This PC's."""
    shut_out: ShutOut | None = None
    """The newest list that this PC has."""

    @property
    def is_over(self) -> bool:
        """Whether this PC was shut out, by that list."""
        return self.shut_out is not None and self.certificate.id in self.shut_out.keys

    def say_over(self) -> str:
        """Return what became of it, and what to do."""
        return (
            f"this PC was shut out of the lab {self.lab.name}: if it is to come back, 'multirig key join "
            "--new-key' here"
        )


@dataclass(frozen=True, slots=True)
class Keys:
    """A PC's private key, and the labs that have signed it.

    Parameters
    ----------
    private : bytes
        32 bytes, X25519.
    memberships : tuple of Membership
        Usually one; two while a lab changes its key.
    """

    private: bytes
    memberships: tuple[Membership, ...] = ()

    def __repr__(self) -> str:  # never in a log
        return f"Keys({[one.certificate.name for one in self.memberships]})"

    @property
    def public(self) -> bytes:
        """What a certificate is about."""
        return public_key(self.private)

    def of(self, lab: str) -> Membership | None:
        """Return how it belongs to the lab with a key of that id."""
        return next((one for one in self.memberships if one.lab.id == lab), None)

    def judge(self, certificate: Certificate, *, now: int) -> Membership:
        """Return the lab of which the holder of a certificate is.

        Parameters
        ----------
        certificate : Certificate
            As it came.
        now : int
            Seconds since 1970.

        Raises
        ------
        TrustError
            Why its word counts nothing.
        """
        membership = self.of(certificate.by)
        if membership is None:
            raise TrustError(f"{certificate.name} is of another lab, {certificate.lab}")
        membership.lab.check(certificate)
        if membership.shut_out is not None and certificate.id in membership.shut_out.keys:
            raise Unwelcome(f"{certificate.name} was shut out of the lab {membership.lab.name}")
        if certificate.until <= now:
            raise Unwelcome(
                f"the certificate of {certificate.name} is over since {_day(certificate.until)}, and today "
                f"is {_day(now)} by this PC's clock: set the clock if it is wrong, else let that PC join "
                "again (multirig key join)"
            )
        return membership

    @property
    def can_prove(self) -> bool:
        """Whether this PC is of a lab, and was not shut out."""
        return any(not one.is_over for one in self.memberships)

    def open_to(self) -> tuple[Membership, ...]:
        """Return the labs of which this PC is still.

        Raises
        ------
        TrustError
            Of none: it has no key of a lab, or was shut out.
        """
        found = tuple(one for one in self.memberships if not one.is_over)
        if found:
            return found
        raise TrustError(
            self.memberships[-1].say_over() if self.memberships else "this PC has no key of a lab"
        )

    def with_list(self, shut_out: ShutOut) -> Keys | None:
        """Return the keys with a newer list; None if it is not newer. TrustError: it is none of its labs."""
        membership = self.of(shut_out.by)
        if membership is None:
            raise TrustError("a list of another lab")
        if membership.shut_out is not None and membership.shut_out.number >= shut_out.number:
            return None
        membership.lab.check_list(shut_out)
        changed = replace(membership, shut_out=shut_out)
        return replace(
            self, memberships=tuple(changed if one is membership else one for one in self.memberships)
        )


def public_key(private: bytes) -> bytes:
    """Return the public half of a PC's key; 32 bytes."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d")
