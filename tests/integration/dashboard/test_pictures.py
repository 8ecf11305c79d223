"""Pictures are answered for ahead of the pages, and only pictures are."""

from __future__ import annotations

import httpx
import pytest

from multirig.dashboard.door.pictures import PictureAnswers, picture_path

SHOTS = {("cameras", "left"): b"\xff\xd8\xff 1", ("room 2/north", "a/b?c"): b"\xff\xd8\xff 2"}


@pytest.fixture
def client():
    async def pages(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a page"})

    app = PictureAnswers(pages, lambda rig, label: SHOTS.get((rig, label)))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here")


@pytest.mark.parametrize("names", SHOTS)
async def test_a_picture_is_found_whatever_its_rig_and_its_camera_are_called(client, names):
    answer = await client.get(f"{picture_path(*names)}?7")
    assert answer.content == SHOTS[names]
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-length"] == str(len(SHOTS[names]))


async def test_a_picture_that_is_not_there_is_not_found(client):
    answer = await client.get(picture_path("cameras", "right"))
    assert (answer.status_code, answer.content) == (404, b"")


@pytest.mark.parametrize("path", ["/", "/picture/cameras", "/picture", "/history"])
async def test_all_else_is_left_to_the_pages(client, path):
    assert (await client.get(path)).content == b"a page"


async def test_what_is_sent_to_a_picture_is_left_to_the_pages(client):
    assert (await client.post(picture_path("cameras", "left"))).content == b"a page"
