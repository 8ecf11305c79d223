"""Who may say what to a rig, and what a rig may say."""

from __future__ import annotations

from collections.abc import Container

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


def object_to_asker(standing: Standing | None, host: str, named: Container[str]) -> str:
    """Return why somebody that asks a rig for its Alyx token is not given it; empty: it is.

    Parameters
    ----------
    standing : Standing or None
        Who has proved that it asks; its address proves nothing then. None: nobody has.
    host : str
        IP address from which it is asked.
    named : container of str
        Names of PCs of the lab, ids of their keys, and IP addresses of peers that have no key.
    """
    if standing is None:
        hint = "name its address in 'alyx_token_to' of this rig's config"
        return "" if host in named else object_to_token(host, hint)
    if standing.role.leads and (standing.name in named or standing.certificate.id in named):
        return ""
    return object_to_token(
        standing.name, "name it in 'alyx_token_to' of this rig's config, if its key may lead"
    )


def object_to_token(who: str, hint: str) -> str:
    """Return in which words somebody is not given the Alyx token."""
    return f"{who} may not be given the Alyx token: {hint}"


def object_to_led(standing: Standing, word: Word) -> str:
    """Return why somebody that is led may not say a word to who leads it; empty: it may."""
    if isinstance(word, AlyxToken) and not standing.role.leads:
        return f"the key of {standing.name} may not hand over an Alyx token"
    return ""
