"""An Alyx database on loopback: tokens, and the tables that real clients of it need, with their rules."""

from __future__ import annotations

import json
import secrets
import threading
import uuid
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

LIMIT = 10.0
"""Seconds that an answer is held back at most."""

_WRITABLE = (
    *("subject", "users", "lab", "location", "type", "task_protocol", "number", "start_time", "end_time"),
    *("projects", "procedures", "n_trials", "n_correct_trials", "narrative", "json"),
)
_PAGES = ("django", "limit", "offset")
_GIVEN = ("subject", "date_time", "user")
_FIELDS: dict[str, tuple[str, ...]] = {
    "sessions": _WRITABLE,
    "weighings": (*_GIVEN, "weight"),
    "water-administrations": (*_GIVEN, "water_administered", "water_type", "session", "adlib"),
    "subjects": ("nickname", "lab", "projects", "responsible_user", "alive", "stock"),
    "users": ("username", "email"),
    "projects": ("name", "users"),
    "procedures": ("name", "description"),
    "locations": ("name", "lab", "json"),
    "labs": ("name",),
    "dataset-types": ("name", "filename_pattern"),
}
"""Of each table, what may be written into it."""
_FILTERS: dict[str, tuple[str, ...]] = {
    **_FIELDS,
    "sessions": ("subject", "date_range", "number", "lab", "task_protocol"),
    "weighings": ("nickname", *_FIELDS["weighings"]),
    "water-administrations": ("nickname", *_FIELDS["water-administrations"]),
}
"""Of each table, what its rows can be asked by."""
_KEYS = {"subjects": "nickname", "users": "username", "projects": "name", "locations": "name"}
"""By what one is looked up, where that is not its id."""


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
        self.labs = {"mylab", "otherlab"}
        self.water_types = {"Water", "Water 10% Sucrose"}
        self.tables: dict[str, list[dict[str, Any]]] = {name: [] for name in _FIELDS}
        for nickname, lab, is_alive in (
            ("SP_01", "mylab", True),
            ("SP_02", "mylab", True),
            ("SP_00", "mylab", False),
        ):
            self.add_subject(nickname, lab, is_alive=is_alive)
        self.add_subject("OT_01", "otherlab")
        self.tables["users"] = [{"username": name, "email": f"{name}@example.org"} for name in self.passwords]
        self.tables["projects"] = [
            {"name": "ibl_neuropixel", "users": ["sara"]},
            {"name": "ibl_mesoscope", "users": []},
            {"name": "secret", "users": ["olivier"]},
        ]
        self.tables["procedures"] = [{"name": "Imaging"}, {"name": "Behavior training/tasks"}]
        self.tables["locations"] = [{"name": "rig_1", "lab": "mylab", "json": {"room": "B12"}}]
        self.requests: list[str] = []
        """What was asked so far, as ``GET /sessions``."""
        self.asked: list[dict[str, Any]] = []
        """The same with each one's query and body."""
        self.trouble = ""
        """What every write is answered with, as an error of the server."""
        self.holds_back = ""
        """The path of which the answer is held back, after the work is done, until `may_answer`."""
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

    @property
    def sessions(self) -> list[dict[str, Any]]:
        """The table of the sessions."""
        return self.tables["sessions"]

    def add_subject(self, nickname: str, lab: str, *, is_alive: bool = True) -> None:
        """Enter an animal."""
        self.tables["subjects"].append(
            {
                **{"id": str(uuid.uuid4()), "nickname": nickname, "lab": lab, "alive": is_alive},
                **{"stock": False, "projects": [], "responsible_user": "olivier"},
            }
        )

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
            and int(query.get("number", one["number"])) == int(one["number"])
            and first <= one["start_time"][:10] <= last
        ]

    def find(self, table: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return the rows that pass the filters; what is no field filters nothing, as in Alyx."""
        if table == "sessions":
            return self.find_sessions(query)
        wanted = {
            "subject" if key == "nickname" and table != "subjects" else key: query[key] for key in query
        }
        return [
            row
            for row in self.tables[table]
            if all(str(row.get(key)) == value for key, value in wanted.items() if key in _FIELDS[table])
        ]

    def create(self, table: str, fields: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Enter a row, or say by field what is wrong."""
        if wrong := self._objections(table, fields, is_new=True):
            return 400, wrong
        key = str(uuid.uuid4())
        blank = dict.fromkeys(_FIELDS[table])
        if "number" in fields:
            fields = {**fields, "number": int(fields["number"])}
        record = {**blank, **fields, "id": key, "url": f"{self.url}/{table}/{key}"}
        self.tables[table].append(record)
        return 201, self.shown(table, record)

    def update(
        self, table: str, record: dict[str, Any], fields: Mapping[str, Any]
    ) -> tuple[int, dict[str, Any]]:
        """Change a row, or say by field what is wrong."""
        if wrong := self._objections(table, fields, is_new=False):
            return 400, wrong
        record.update(fields)
        return 200, self.shown(table, record)

    def shown(self, table: str, record: dict[str, Any]) -> dict[str, Any]:
        """Return a row as it is told; a session tells of its water, without the times."""
        if table != "sessions":
            return record
        given = [one for one in self.tables["water-administrations"] if one["session"] == record["id"]]
        shown = ("id", "water_type", "water_administered")
        return {**record, "wateradmin_session_related": [{key: one[key] for key in shown} for one in given]}

    def _objections(self, table: str, fields: Mapping[str, Any], *, is_new: bool) -> dict[str, list[str]]:
        required = {
            "sessions": ("subject", "start_time", "number", "users"),
            "weighings": ("subject", "date_time", "weight"),
            "water-administrations": ("subject", "date_time"),
        }
        known = {
            "subject": ("nickname", {row["nickname"] for row in self.tables["subjects"]}),
            "users": ("username", set(self.passwords)),
            "user": ("username", set(self.passwords)),
            "projects": ("name", {row["name"] for row in self.tables["projects"]}),
            "procedures": ("name", {row["name"] for row in self.tables["procedures"]}),
            "location": ("name", {row["name"] for row in self.tables["locations"]}),
            "lab": ("name", self.labs),
            "water_type": ("name", self.water_types),
            "session": ("id", {row["id"] for row in self.sessions}),
        }
        wrong = {}
        for name in required.get(table, ()) if is_new else ():
            if not fields.get(name):
                wrong[name] = ["This field is required."]
        if "water_type" in fields and fields["water_type"] is None:
            wrong["water_type"] = ["This field may not be null."]
        for name, (slug, values) in known.items():
            given = fields.get(name)
            several = given if isinstance(given, list) else [given] if given is not None else []
            if name not in wrong and (unknown := [one for one in several if one not in values]):
                wrong[name] = [f"Object with {slug}={unknown[0]} does not exist."]
        return wrong

    def describe(self, *, in_core_api: bool) -> dict[str, Any]:
        """Return the description of the interface, which ONE asks for before its first query."""
        if in_core_api:
            verbs = {"create": "post", "partial_update": "patch"}
            return {
                table: {
                    action: {
                        "action": verbs.get(action, "get"),
                        "url": f"/{table}",
                        "fields": [{"name": name} for name in names],
                    }
                    for action, names in (
                        ("list", (*_FILTERS[table], *_PAGES)),
                        ("read", ()),
                        ("create", fields),
                        ("partial_update", fields),
                    )
                }
                for table, fields in _FIELDS.items()
            }
        paths: dict[str, Any] = {}
        for table in _FIELDS:
            schema = {"$ref": f"#/components/schemas/{table}"}
            body = {"content": {"application/json": {"schema": schema}}}
            paths[f"/{table}"] = {
                "get": {"parameters": [{"name": name} for name in (*_FILTERS[table], *_PAGES)]},
                "post": {"requestBody": body},
            }
            paths[f"/{table}/{{id}}"] = {"get": {}, "patch": {"requestBody": body}}
        schemas = {table: {"properties": {name: {} for name in names}} for table, names in _FIELDS.items()}
        return {"paths": paths, "components": {"schemas": schemas}}


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
        query = {name: values[-1] for name, values in parse_qs(address.query).items()}
        self.alyx.requests.append(f"{self.command} {address.path}")
        if address.path != "/auth-token":
            self.alyx.asked.append(
                {
                    "method": self.command,
                    "path": address.path,
                    "query": query,
                    "body": json.loads(body) if body.startswith("{") else None,
                }
            )
        is_held_back = self.alyx.holds_back == address.path and self.command != "GET"
        if not self.alyx.holds_back:
            self.alyx.may_answer.wait(LIMIT)
        status, answer = self._find(unquote(address.path), query, body)
        if is_held_back:
            self.alyx.may_answer.wait(LIMIT)
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
            case ("GET", [table]) if table in alyx.tables:
                rows = [alyx.shown(table, row) for row in alyx.find(table, query)]
                return 200, {"count": len(rows), "next": None, "previous": None, "results": rows}
            case ("POST", [table]) if table in alyx.tables:
                return alyx.create(table, json.loads(body))
            case (verb, [table, key]) if table in alyx.tables:
                for record in alyx.tables[table]:
                    if record[_KEYS.get(table, "id")] == key:
                        if verb == "PATCH":
                            return alyx.update(table, record, json.loads(body))
                        return 200, alyx.shown(table, record)
        return 404, {"detail": "Not found."}
