"""The pages: they hold no rule; each shows what `view` says, and hands what is pressed to the `Console`."""

from __future__ import annotations

from fastapi import Response
from nicegui import app, ui

from multirig.dashboard.console import Console
from multirig.dashboard.pages.lab import build_lab

__all__ = ["register"]


def register(console: Console) -> None:
    """Make the pages of a console known to the server."""

    @ui.page("/")
    def lab() -> None:
        build_lab(console)

    @app.get("/picture/{rig:path}/{label}")
    def picture(rig: str, label: str) -> Response:
        shot = console.shot(rig, label)
        if shot is None:
            return Response(status_code=404)
        return Response(shot.jpeg, media_type="image/jpeg", headers={"Cache-Control": "no-store"})
