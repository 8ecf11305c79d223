"""One tree of exceptions.

Each message is one line for the person at the rig: which PC, which step, what to do next.
Where IBL's interface promises a ValueError, RuntimeError or TimeoutError, the class here also is one.
"""

from __future__ import annotations

from collections.abc import Mapping

from multirig.refusal import why_not as why_not


class MultirigError(Exception):
    """Everything that multirig raises on purpose."""


class ConfigError(MultirigError, ValueError):
    """A file, an option or an address is not as it must be."""


class ProtocolError(MultirigError):
    """A message broke the rules of its wire."""


class NotThereYet(ConfigError):
    """An address or a folder is not there, and may come by itself: after a log-on, networks and drives do."""


class LocalProtocolError(ProtocolError, ValueError):
    """This side tried to send what the wire cannot carry; nothing was sent."""


class RemoteProtocolError(ProtocolError, RuntimeError):
    """The other side sent what the wire does not know, or reported an error of its own.

    Parameters
    ----------
    message : str
        One line.
    word : object
        What it has said beside its error: what a rig has recorded that could not stop as it should.
    """

    def __init__(self, message: str, word: object = None) -> None:
        self.word = word
        super().__init__(message)


class VersionMismatch(ProtocolError):
    """The other side speaks a version of wire 2 that this side does not know."""


class RigUnreachable(MultirigError, ConnectionError):
    """Nothing listens at the rig's address."""


class Unconfirmed(MultirigError, TimeoutError):
    """No receipt or no reply came in time: what the rig did is unknown."""


class IllegalTransition(MultirigError, RuntimeError):
    """An event that the present state does not allow; nothing happened."""

    def __init__(self, state: object, event: object, why: str = "") -> None:
        self.state = state
        self.event = event
        super().__init__(why or f"{event} is not possible while {state}")


class AgreementError(MultirigError, ValueError):
    """The rigs do not agree on who is recorded, or when, or under which number.

    Parameters
    ----------
    message : str
        One line.
    busy : str, optional
        The rig that records another session.
    """

    def __init__(self, message: str = "", busy: str | None = None) -> None:
        self.busy = busy
        super().__init__(message)


class NoMainSync(AgreementError):
    """No rig owns the experiment's number."""


class SeveralMainSyncs(AgreementError):
    """More than one rig claims the experiment's number."""


class SubjectMismatch(AgreementError):
    """A rig is at another subject."""


class DateMismatch(AgreementError, RuntimeError):
    """A rig is at another date."""


class TrustError(MultirigError, ValueError):
    """A key, a certificate or a list is not what it must be, or its holder may not do what it asks."""


class SyncError(MultirigError, ValueError):
    """Times cannot be brought onto the session clock: a table is missing, or pulses do not fit."""


class NotHere(MultirigError, LookupError):
    """Data are asked for that are not in the session's folder: their rig's part was not copied there."""


class AdapterError(MultirigError, RuntimeError):
    """The part of a rig that drives its program or device failed.

    Parameters
    ----------
    message : str
        One line: what is wrong and what to do next.
    rig, step : str
        Where it happened; filled in by the rig's service when an adapter leaves them empty.
    """

    def __init__(self, message: str, *, rig: str = "", step: str = "") -> None:
        self.message = message
        self.rig = rig
        self.step = step
        super().__init__(message)

    def __str__(self) -> str:
        where = ", ".join(part for part in (self.rig, self.step) if part)
        return f"{where}: {self.message}" if where else self.message


class SessionFailed(MultirigError, RuntimeError):
    """A step failed on one or more rigs; prints as a tree, rig by rig.

    Parameters
    ----------
    step : str
        The step that failed, in the operator's words ("start").
    causes : mapping of str to Exception
        The error of each rig that failed.
    consequence : str
        What was done with the others ("2 rigs were stopped and cleaned up").
    """

    def __init__(self, step: str, causes: Mapping[str, Exception], consequence: str = "") -> None:
        self.step = step
        self.causes = dict(causes)
        self.consequence = consequence
        super().__init__(step, self.causes, consequence)

    def __str__(self) -> str:
        head = f"{self.step} failed"
        if self.causes:
            head += f" on {', '.join(self.causes)}"
        if self.consequence:
            head += f" ({self.consequence})"
        lines = [head]
        names = list(self.causes)
        for name in names:
            branch = "└─" if name == names[-1] else "├─"
            lines.append(f"{branch} {name}: {self.causes[name]}")
        return "\n".join(lines)
