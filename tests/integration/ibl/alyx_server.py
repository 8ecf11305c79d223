"""An Alyx database on loopback: tokens, subjects and sessions, as real clients of it need them."""

from __future__ import annotations

import json
import secrets
import threading
import uuid
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

LIMIT = 10.0
"""Seconds that an answer is held back at most."""

_WRITABLE = (
    *("subject", "users", "lab", "location", "type", "task_protocol", "number", "start_time", "end_time"),
    *("projects", "procedures", "n_trials", "n_correct_trials", "narrative", "json"),
)
_FILTERS = ("subject", "date_range", "number", "lab", "task_protocol", "django", "limit", "offset")


class FakeAlyx:
    """The database; each of its tables may be changed at any time.

    Parameters
    ----------
    is_old : bool
        Describe the interface in Core API alone, as Alyx did before it had OpenAPI.
    """

    def __init__(self, *, is_old: bool = False) -> None:
        self.is_old = is_old
        self.passwords = {"sara": "sara's password", "olivier": "olivier's password"}
        self.tokens: dict[str, str] = {}
        """Token → user, of the tokens that are valid."""
        self.read_only = {"olivier"}
        """Users who may not write."""
        self.subjects = {"SP_01", "SP_02"}
        self.sessions: list[dict[str, Any]] = []
        self.requests: list[str] = []
        """What was asked so far, as ``GET /sessions``."""
        self.trouble = ""
        """What every write is answered with, as an error of the server."""
        self.may_answer = threading.Event()
        self.may_answer.set()
        database = self

        class Handler(_Handler):
            alyx = database

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Be out of reach from now on."""
        self.may_answer.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(LIMIT)

    def token_of(self, user: str) -> str:
        """Return a user's token, a new one if there is none."""
        for token, owner in self.tokens.items():
            if owner == user:
                return token
        token = secrets.token_hex(20)
        self.tokens[token] = user
        return token

    # -- tables -------------------------------------------------------------------------------------------

    def find_sessions(self, query: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return the sessions that pass the filters."""
        first, last = query.get("date_range", "0000-00-00,9999-99-99").split(",")
        return [
            one
            for one in self.sessions
            if query.get("subject", one["subject"]) == one["subject"]
            and query.get("number", str(one["number"])) == str(one["number"])
            and first <= one["start_time"][:10] <= last
        ]

    def create_session(self, fields: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Enter a session, or say by field what is wrong."""
        wrong = {}
        for name in ("subject", "start_time", "number", "users"):
            if not fields.get(name):
                wrong[name] = ["This field is required."]
        if fields.get("subject") and fields["subject"] not in self.subjects:
            wrong["subject"] = [f"Object with nickname={fields['subject']} does not exist."]
        if unknown := [user for user in fields.get("users", []) if user not in self.passwords]:
            wrong["users"] = [f"Object with username={unknown[0]} does not exist."]
        if wrong:
            return 400, wrong
        key = str(uuid.uuid4())
        blank = dict.fromkeys(_WRITABLE)
        record = {**blank, **fields, "id": key, "url": f"{self.url}/sessions/{key}"}
        self.sessions.append(record)
        return 201, record

    def describe(self, *, in_core_api: bool) -> dict[str, Any]:
        """Return the description of the interface, which ONE asks for before its first query."""
        if in_core_api:
            verbs = {"create": "post", "partial_update": "patch"}
            fields = {"list": _FILTERS, "read": (), "create": _WRITABLE, "partial_update": _WRITABLE}
            return {
                "sessions": {
                    action: {
                        "action": verbs.get(action, "get"),
                        "url": "/sessions",
                        "fields": [{"name": name} for name in names],
                    }
                    for action, names in fields.items()
                }
            }
        body = {
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Session"}}},
        }
        return {
            "paths": {
                "/sessions": {
                    "get": {"parameters": [{"name": name} for name in _FILTERS]},
                    "post": {"requestBody": body},
                },
                "/sessions/{id}": {"get": {}, "patch": {"requestBody": body}},
            },
            "components": {"schemas": {"Session": {"properties": {name: {} for name in _WRITABLE}}}},
        }


class _Handler(BaseHTTPRequestHandler):
    alyx: FakeAlyx

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PATCH(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def _answer(self) -> None:
        address = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        self.alyx.requests.append(f"{self.command} {address.path}")
        self.alyx.may_answer.wait(LIMIT)
        query = {name: values[-1] for name, values in parse_qs(address.query).items()}
        status, answer = self._find(address.path, query, body)
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _find(self, path: str, query: Mapping[str, str], body: str) -> tuple[int, Any]:
        alyx = self.alyx
        if path == "/auth-token":
            said = {name: values[-1] for name, values in parse_qs(body).items()}
            user = said.get("username", "")
            if user not in alyx.passwords or alyx.passwords[user] != said.get("password"):
                return 400, {"non_field_errors": ["Unable to log in with provided credentials."]}
            return 200, {"token": alyx.token_of(user)}
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if scheme != "Token":
            return 401, {"detail": "Authentication credentials were not provided."}
        if token not in alyx.tokens:
            return 403, {"detail": "Invalid token."}
        user = alyx.tokens[token]
        if self.command != "GET" and user in alyx.read_only:
            return 403, {"detail": "You do not have permission to perform this action."}
        if self.command != "GET" and alyx.trouble:
            return 500, {"detail": alyx.trouble}
        return self._serve(user, path, query, body)

    def _serve(self, user: str, path: str, query: Mapping[str, str], body: str) -> tuple[int, Any]:
        alyx = self.alyx
        match (self.command, path.strip("/").split("/")):
            case ("GET", ["me"]):
                return 200, {"username": user}
            case ("GET", ["docs"]):
                return 200, alyx.describe(in_core_api=True)
            case ("GET", ["api", "schema"]) if not alyx.is_old:
                return 200, alyx.describe(in_core_api=False)
            case ("GET", ["sessions"]):
                found = alyx.find_sessions(query)
                return 200, {"count": len(found), "next": None, "previous": None, "results": found}
            case ("POST", ["sessions"]):
                return alyx.create_session(json.loads(body))
            case (verb, ["sessions", key]):
                for record in alyx.sessions:
                    if record["id"] == key:
                        record.update(json.loads(body) if verb == "PATCH" else {})
                        return 200, record
        return 404, {"detail": "Not found."}
