"""Who may say what to a rig, and what a rig may say."""

from __future__ import annotations

from multirig.protocol.holdings import AskHoldings
from multirig.protocol.words import AlyxToken, AskInfo, AskStatus, Lease, WantPictures, Word
from multirig.trust.channel import Standing


def object_to(standing: Standing, word: Word) -> str:
    """Return why somebody may not say a word to a rig; empty: it may.

    Whatever is not known to change nothing is for whoever leads.
    """
    if standing.role.leads:
        return ""
    if not standing.role.looks:
        return f"the key of {standing.name} is a rig's: it is led, and may neither lead nor look on"
    if isinstance(word, AskStatus | Lease | WantPictures | AskHoldings):
        return ""
    if isinstance(word, AskInfo) and word == AskInfo(
        whose=word.whose, spec_version=word.spec_version, greeting=word.greeting
    ):  # whatever else is asked may offer a number, ask the person there, or try the PC
        return ""
    return (
        f"the key of {standing.name} may look on, and not lead: {word.event.name} is not for it ('multirig "
        "key add' on the PC with the lab's key gives it another role)"
    )


def object_to_led(standing: Standing, word: Word) -> str:
    """Return why somebody that is led may not say a word to who leads it; empty: it may."""
    if isinstance(word, AlyxToken) and not standing.role.leads:
        return f"the key of {standing.name} may not hand over an Alyx token"
    return ""
