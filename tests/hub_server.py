"""A model hub on loopback: just what huggingface_hub asks of one, over folders of files."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Handler(BaseHTTPRequestHandler):
    """Answers /api/models/ORG/NAME/{revision,tree}/REV and /ORG/NAME/resolve/REV/FILE for folders below ``root``."""

    root: Path
    requests: list[str]
    revisions = ("main", COMMIT)

    def do_GET(self) -> None:
        parts = [unquote(part) for part in self.path.split("?")[0].strip("/").split("/")]
        self.requests.append(f"{self.command} {'/'.join(parts)}")
        if parts[:2] == ["api", "models"]:
            kind, revision = parts[4:6] if len(parts) > 5 else ("revision", "main")
            self.describe("/".join(parts[2:4]), kind, revision)
        elif len(parts) >= 5 and parts[2] == "resolve":
            self.resolve("/".join(parts[:2]), parts[3], "/".join(parts[4:]))
        else:
            self.refuse("EntryNotFound")

    do_HEAD = do_GET

    def describe(self, repo: str, kind: str, revision: str) -> None:
        folder = self.root / repo
        if not folder.is_dir():
            return self.refuse("RepoNotFound")
        if revision not in self.revisions:
            return self.refuse("RevisionNotFound")
        files = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}
        if kind == "tree":
            tree = [
                {"type": "file", "path": name, "size": path.stat().st_size, "oid": "0"} for name, path in files.items()
            ]
            return self.send(json.dumps(tree).encode(), {})
        info = {"_id": "1", "id": repo, "modelId": repo, "sha": COMMIT, "private": False, "tags": [], "downloads": 0}
        return self.send(json.dumps({**info, "siblings": [{"rfilename": name} for name in files]}).encode(), {})

    def resolve(self, repo: str, revision: str, name: str) -> None:
        path = self.root / repo / name
        if revision not in self.revisions:
            return self.refuse("RevisionNotFound")
        if not path.is_file():
            return self.refuse("EntryNotFound")
        body = path.read_bytes()
        etag = hashlib.sha256(body).hexdigest()
        return self.send(body, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"})

    def refuse(self, code: str) -> None:
        self.send(json.dumps({"error": code}).encode(), {"X-Error-Code": code, "X-Error-Message": code}, 404)

    def send(self, body: bytes, headers: dict[str, str], status: int = 200) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextmanager
def serve(root: Path) -> Iterator[tuple[str, list[str]]]:
    """Serves ``root``/ORG/NAME on loopback; gives its address and the list of requests as they come."""
    requests: list[str] = []
    handler = type("Hub", (Handler,), {"root": root, "requests": requests})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", requests
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
