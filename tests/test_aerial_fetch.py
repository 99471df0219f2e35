"""Meshes by URL from a server on loopback: checksums, connections that break off, and archives that mean harm."""

from __future__ import annotations

import hashlib
import json
import threading
import zipfile
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from aerial_fixtures import box_obj

from scripts.aerial import fetch
from scripts.lib import download as downloads
from scripts.lib.archive import unpack
from scripts.lib.cli import UserError
from scripts.lib.download import download

BODY = bytes(range(256)) * 4000


class Handler(BaseHTTPRequestHandler):
    """Serves one body at every path; may break off, know no ranges, or refuse."""

    body = BODY
    breaks: list[int] = []  # after so many bytes, one for each answer
    ranges = True
    status = 200
    asked: list[str | None] = []

    def do_GET(self):
        self.asked.append(self.headers.get("Range"))
        if self.status != 200:
            self.send_error(self.status)
            return
        start = int(self.headers["Range"][6:-1]) if self.ranges and "Range" in self.headers else 0
        if start >= len(self.body):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(self.body) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(self.body) - 1}/{len(self.body)}")
        self.end_headers()
        stop = start + self.breaks.pop(0) if self.breaks else len(self.body)
        self.wfile.write(self.body[start:stop])
        self.close_connection = True

    def log_message(self, *_):
        """Quiet."""


@contextmanager
def serve(**settings):
    """A server on loopback; gives its address and the ranges it is asked for."""
    handler = type("Tiles", (Handler,), {"asked": [], "breaks": [], **settings})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", handler.asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(downloads, "PAUSE", 0.0)


def digest(body=BODY):
    return hashlib.sha256(body).hexdigest()


def test_a_download_that_breaks_off_goes_on(tmp_path):
    with serve(breaks=[300_000, 200_000]) as (address, asked):
        assert download(f"{address}/a.zip", tmp_path / "a.zip", digest()) == digest()
    assert (tmp_path / "a.zip").read_bytes() == BODY
    assert asked == [None, "bytes=300000-", "bytes=500000-"]
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_what_an_earlier_process_left_is_used(tmp_path):
    with serve(breaks=[250_000] + [0] * 3) as (address, _), pytest.raises(UserError, match="250,000 bytes are kept"):
        download(f"{address}/a.zip", tmp_path / "a.zip", digest())
    assert (tmp_path / ".a.zip.part").stat().st_size == 250_000
    with serve() as (address, asked):
        download(f"{address}/a.zip", tmp_path / "a.zip", digest())
        download(f"{address}/a.zip", tmp_path / "a.zip", digest())  # there already
    assert asked == ["bytes=250000-"] and (tmp_path / "a.zip").read_bytes() == BODY


def test_a_server_without_ranges_sends_all_of_it(tmp_path):
    with serve(breaks=[300_000], ranges=False) as (address, asked):
        download(f"{address}/a.zip", tmp_path / "a.zip", digest())
    assert asked == [None, "bytes=300000-"] and (tmp_path / "a.zip").read_bytes() == BODY


@pytest.mark.parametrize("left", [b"of another file", BODY + b"more"])
def test_what_is_left_of_another_file_is_thrown_away(tmp_path, left):
    (tmp_path / ".a.zip.part").write_bytes(left)
    with serve() as (address, asked):
        download(f"{address}/a.zip", tmp_path / "a.zip", digest())
    assert asked == [f"bytes={len(left)}-", None] and (tmp_path / "a.zip").read_bytes() == BODY


def test_another_checksum_is_refused(tmp_path):
    with serve() as (address, _), pytest.raises(UserError, match=rf"SHA-256 is {digest()}, expected 0000"):
        download(f"{address}/a.zip", tmp_path / "a.zip", "0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_refusals_and_dead_servers_are_told(tmp_path):
    with serve(status=404) as (address, asked), pytest.raises(UserError, match="answered 404 Not Found; check"):
        download(f"{address}/a.zip", tmp_path / "a.zip", digest())
    assert len(asked) == 1
    with serve(status=503) as (address, asked), pytest.raises(UserError, match=r"answered 503\); 0 bytes are kept"):
        download(f"{address}/a.zip", tmp_path / "a.zip", digest())
    assert len(asked) == downloads.TRIES
    with pytest.raises(UserError, match=r"could not be downloaded .* check the network"):
        download(f"{address}/a.zip", tmp_path / "a.zip", digest())


def zipped(path, **files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/").replace("_obj", ".obj").replace("_txt", ".txt"), content)
    return path


def run_fetch(*arguments):
    fetch.main(fetch.parser().parse_args([str(argument) for argument in arguments]))


def test_an_archive_by_url(tmp_path, capsys):
    mesh = box_obj((0, 0, 0), (9, 9, 9))
    body = zipped(tmp_path / "tile.zip", bldg__53394611_obj=mesh, licence_txt="CC BY").read_bytes()
    out = tmp_path / "out"
    with serve(body=body, breaks=[100]) as (address, asked):
        run_fetch(f"{address}/city/tile.zip?v=2", "--sha256", digest(body), "--out", out)
        run_fetch(f"{address}/city/tile.zip?v=2", "--sha256", digest(body), "--out", out)
        assert asked == [None, "bytes=100-"] and "up to date" in capsys.readouterr().err
        (out / "bldg/53394611.obj").write_text("spoilt")
        run_fetch(f"{address}/city/tile.zip?v=2", "--out", out)
        assert f"sha256 {digest(body)}; name it from now on" in capsys.readouterr().err
    assert (out / "bldg/53394611.obj").read_text() == mesh
    assert sorted(path.name for path in out.rglob("*")) == ["53394611.obj", "bldg", "source.json"]
    listed = json.loads((out / "source.json").read_text())
    assert listed["sha256"] == digest(body) and [row["name"] for row in listed["files"]] == ["bldg/53394611.obj"]


def test_a_mesh_by_url_and_local_archives(tmp_path):
    mesh = box_obj((0, 0, 0), (9, 9, 9)).encode()
    with serve(body=mesh) as (address, _):
        run_fetch(f"{address}/tile.obj", "--sha256", digest(mesh), "--out", tmp_path / "one")
    assert (tmp_path / "one/tile.obj").read_bytes() == mesh
    archive = zipped(tmp_path / "a.zip", a_obj=mesh)
    run_fetch(archive, "--out", tmp_path / "two")
    assert (tmp_path / "two/a.obj").read_bytes() == mesh and archive.is_file()
    with pytest.raises(UserError, match="expected 0000"):
        run_fetch(archive, "--sha256", "0" * 64, "--out", tmp_path / "three")
    with pytest.raises(UserError, match="no such file"):
        run_fetch(tmp_path / "none.zip", "--out", tmp_path / "three")


def test_what_is_no_mesh_is_told(tmp_path):
    (tmp_path / "a.gml").write_text("<gml/>")
    with pytest.raises(UserError, match="neither an OBJ file nor a zip archive"):
        run_fetch(tmp_path / "a.gml", "--out", tmp_path / "out")
    with pytest.raises(UserError, match="holds no OBJ file among 1 others"):
        run_fetch(zipped(tmp_path / "b.zip", b_txt="b"), "--out", tmp_path / "out")
    with pytest.raises(UserError, match="not the http"):
        run_fetch("ftp://127.0.0.1/a.zip", "--out", tmp_path / "out")
    with pytest.raises(UserError, match="not the http"):
        run_fetch("http://127.0.0.1/", "--out", tmp_path / "out")


@pytest.mark.parametrize("name", ["../evil.obj", "/tmp/evil.obj", "a/../../evil.obj", "..\\evil.obj"])
def test_no_path_leaves_the_folder(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(name, "v 0 0 0")
    with pytest.raises(UserError, match=r"leaves .* Take the archive from another source"):
        unpack(tmp_path / "a.zip", tmp_path / "out", {".obj"}, 1e9)
    assert not (tmp_path / "evil.obj").exists() and not (tmp_path / "out").exists()


def test_links_doubles_bombs_and_damage_are_refused(tmp_path):
    link = zipfile.ZipInfo("link.obj")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(UserError, match=r"link\.obj is a link"):
        unpack(tmp_path / "link.zip", tmp_path / "out", {".obj"}, 1e9)
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as archive:
        archive.writestr("a.obj", "1")
        archive.writestr("A.obj", "2")
    with pytest.raises(UserError, match=r"holds A\.obj twice"):
        unpack(tmp_path / "twice.zip", tmp_path / "out", {".obj"}, 1e9)
    large = zipped(tmp_path / "large.zip", a_obj=b"\0" * 5_000_000)
    with pytest.raises(UserError, match=r"more than max_unpacked_gb 0\.001"):
        unpack(large, tmp_path / "out", {".obj"}, 1e6)
    damaged = tmp_path / "damaged.zip"
    content = bytearray(large.read_bytes())
    content[40:80] = b"\xff" * 40
    damaged.write_bytes(content)
    with pytest.raises(UserError, match="not a sound zip archive"):
        unpack(damaged, tmp_path / "out", {".obj"}, 1e9)
    assert not list(tmp_path.glob("out/*"))
