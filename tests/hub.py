"""A Hugging Face hub on this machine: as much of its HTTP interface as fetching and pushing a model needs."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hf_test"
OLD, NEW = "1" * 40, "2" * 40
"""Commits: what a repository holds at first, and what is pushed into it."""


@dataclass
class Hub:
    """What the hub holds: repository -> commit -> name -> content; asked: all requests, as `GET /path`."""

    repositories: dict[str, dict[str, dict[str, bytes]]] = field(default_factory=dict)
    private: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    validated: list[str] = field(default_factory=list)
    """Cards that were given to be looked at."""
    endpoint: str = ""

    def put(self, repository: str, files: dict[str, bytes], commit: str = OLD) -> None:
        """A commit after those that are there; the last is `main`."""
        self.repositories.setdefault(repository, {})[commit] = files

    def files(self, repository: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """(commit, files) of a revision."""
        commits = self.repositories[repository]
        commit = list(commits)[-1] if revision == "main" else revision
        return (commit, commits[commit]) if commit in commits else None


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def do_GET(self) -> None:
        self.hub.asked.append(f"{self.command} {self.path}")
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+?)(?:/(revision|tree)/([^/?]+))?(?:\?.*)?", self.path):
            self._told(found[1], found[2] or "revision", found[3] or "main")
        elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/([^/?]+)", self.path):
            self._file(*found.groups())
        else:
            self._refuse(404, "EntryNotFound")

    do_HEAD = do_GET  # noqa: N815  # by this name it is called

    def do_POST(self) -> None:
        self.hub.asked.append(f"{self.command} {self.path}")
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._refuse(403, "")
        elif self.path == "/api/repos/create":
            self._create(json.loads(content))
        elif self.path == "/api/validate-yaml":
            self.hub.validated.append(json.loads(content)["content"])
            wrong = [{"message": '"license" must be one of'}] if "license: nonsense" in self.hub.validated[-1] else []
            self._say({"errors": wrong, "warnings": []}, 400 if wrong else 200)
        elif self.path.partition("?")[0].endswith("/preupload/main"):
            files = json.loads(content)["files"]
            self._say(
                {"files": [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False} for file in files]}
            )
        elif found := re.match(r"/api/models/([^/]+/[^/]+)/commit/main", self.path):
            self._commit(found[1], content)
        else:
            self._refuse(404, "")

    def _create(self, asked: dict[str, Any]) -> None:
        name = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else f"user/{asked['name']}"
        url = f"{self.hub.endpoint}/{name}"
        if name in self.hub.repositories:
            self._say({"url": url, "error": "You already created this model repo"}, 409)
            return
        self.hub.repositories[name] = {OLD: {}}
        if asked.get("private") or asked.get("visibility") == "private":
            self.hub.private.add(name)
        self._say({"url": url, "name": name})

    def _commit(self, repository: str, content: bytes) -> None:
        lines = [json.loads(line)["value"] for line in content.decode().splitlines() if '"file"' in line]
        self.hub.put(repository, {line["path"]: base64.b64decode(line["content"]) for line in lines}, NEW)
        self._say({"success": True, "commitOid": NEW, "commitUrl": f"{self.hub.endpoint}/{repository}/commit/{NEW}"})

    def _told(self, repository: str, what: str, revision: str) -> None:
        if repository not in self.hub.repositories:
            self._refuse(404, "RepoNotFound")
        elif (found := self.hub.files(repository, revision)) is None:
            self._refuse(404, "RevisionNotFound")
        elif what == "tree":
            self._say([_entry(name, content) for name, content in found[1].items()])
        else:
            siblings = [{"rfilename": name} for name in found[1]]
            facts = {"id": repository, "modelId": repository, "sha": found[0], "tags": [], "siblings": siblings}
            self._say({**facts, "private": repository in self.hub.private})

    def _file(self, repository: str, revision: str, name: str) -> None:
        if repository not in self.hub.repositories:
            self._refuse(404, "RepoNotFound")
        elif (found := self.hub.files(repository, revision)) is None:
            self._refuse(404, "RevisionNotFound")
        elif name not in found[1]:
            self._refuse(404, "EntryNotFound", {"X-Repo-Commit": found[0]})
        else:
            content = found[1][name]
            self._answer(200, content, {"ETag": f'"{_digest(content)}"', "X-Repo-Commit": found[0]})

    def _say(self, said: Any, code: int = 200) -> None:
        self._answer(code, json.dumps(said).encode(), {"Content-Type": "application/json"})

    def _refuse(self, code: int, kind: str, more: dict[str, str] | None = None) -> None:
        self._answer(code, b"{}", {**({"X-Error-Code": kind} if kind else {}), **(more or {})})

    def _answer(self, code: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(code)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *args: Any) -> None:
        """Says nothing."""


def _entry(name: str, content: bytes) -> dict[str, Any]:
    return {"type": "file", "path": name, "size": len(content), "oid": _digest(content)}


def _digest(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


@contextmanager
def local_hub() -> Iterator[Hub]:
    """A hub that answers until the block ends."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
