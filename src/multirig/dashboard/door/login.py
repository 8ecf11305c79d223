"""The page that asks for the password: one form, without scripts, and nothing to fetch."""

from __future__ import annotations

import html

from multirig.dashboard.door.icon import ICON_URL

HEADERS = {
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
}

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>multirig: {asks_for}</title>
<link rel="icon" href="{icon}">
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 1.25rem/1.5 system-ui, sans-serif; margin: 0; }}
body {{ display: grid; place-items: center; min-height: 100vh; }}
main {{ width: min(22rem, 90vw); }}
h1 {{ font-size: 1.75rem; display: flex; align-items: center; gap: .75rem; }}
img {{ width: 2.5rem; height: 2.5rem; }}
label, input, button {{ display: block; width: 100%; box-sizing: border-box; font: inherit; }}
label {{ margin-top: .9rem; }}
input, button {{ padding: .6rem .75rem; margin-top: .4rem; border: 2px solid #777; border-radius: .4rem; }}
button {{ margin-top: 1rem; background: #1258a8; border-color: #1258a8; color: #fff; font-weight: 600; }}
:focus-visible {{ outline: 3px solid #e69f00; outline-offset: 2px; }}
[role=alert] {{ border-left: .4rem solid #d55e00; padding-left: .75rem; font-weight: 600; }}
</style>
</head>
<body>
<main>
<h1><img src="{icon}" alt="">multirig</h1>
{message}
<form method="post" action="/login">
<input type="hidden" name="next" value="{target}">
{name}<label for="password">{label}</label>
<input id="password" name="password" type="password" autocomplete="current-password" required{focus}>
<button>Open the console</button>
</form>
</main>
</body>
</html>
"""


_LABELS = {
    "password": "Password of this console",
    "token": "Open the address that multirig console has printed, or type what stands in it behind token=",
}


_NAME = """<label for="name">{label}</label>
<input id="name" name="name" value="{value}" autocomplete="username" autocapitalize="none"{more}>
"""
_NAME_LABELS = {
    "password": "Name (empty: for the one password of this console)",
    "token": "Name (empty: for the token in the printed address)",
}


def login_page(
    target: str,
    problem: str | None = None,
    asks_for: str = "password",
    *,
    name: str | None = None,
    needs_name: bool = False,
) -> str:
    """Return the page that asks for a password, or a token.

    Parameters
    ----------
    target : str
        A path of this console to go to afterwards.
    problem : str, optional
        What was wrong.
    asks_for : str
        password or token: what opens it without a name.
    name : str, optional
        What was typed as a name; None: nobody has one.
    needs_name : bool
        Whether nobody comes in without one.
    """
    message = "" if problem is None else f'<p role="alert">{html.escape(problem)}</p>'
    label, asked = _LABELS[asks_for], ""
    if name is not None:
        label = "Password" if asks_for == "password" else "Password, or token"
        asked = _NAME.format(
            label="Name" if needs_name else _NAME_LABELS[asks_for],
            value=html.escape(name[:100], quote=True),
            more=(" required" if needs_name else "") + ("" if name else " autofocus"),
        )
    return _PAGE.format(
        icon=ICON_URL,
        message=message,
        target=html.escape(target, quote=True),
        asks_for=asks_for,
        name=asked,
        label=label,
        focus=" autofocus" if name is None or name else "",
    )


def say_wait(seconds: float) -> str:
    """Return how long to wait, as people say it."""
    if seconds <= 90:
        return f"{max(round(seconds), 1)} s"
    return f"{-(-seconds // 60):.0f} min"
