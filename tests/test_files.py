"""Atomic writes and the readers' errors."""

import errno
import json

import pytest

from scripts.lib.cli import UserError
from scripts.lib.files import (
    atomic_path,
    digest,
    inside,
    manifest,
    read_json,
    read_jsonl,
    sha256_file,
    write_json,
    write_jsonl,
)


def test_failed_write_leaves_the_old_content_and_no_part(tmp_path):
    target = tmp_path / "a.json"
    write_json(target, {"old": 1})
    with pytest.raises(OSError), atomic_path(target) as part:
        part.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert read_json(target) == {"old": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_jsonl_round_trip_keeps_every_character(tmp_path):
    rows = [{"a": "Faerûn\u2028 naïve \x85 end"}, {"b": [1, None]}]
    path = tmp_path / "rows.jsonl"
    assert write_jsonl(path, rows) == 2
    assert [row for _, row in read_jsonl(path)] == rows


def test_broken_line_is_named(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\n\n{"a": \n')
    with pytest.raises(UserError, match=r"rows\.jsonl, line 3: not valid JSON"):
        list(read_jsonl(path))


def test_bytes_that_are_not_utf8_are_named(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": "\xff"}\n')
    with pytest.raises(UserError, match="line 1"):
        list(read_jsonl(path))


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/../../b"])
def test_path_that_leaves_its_folder_is_refused(tmp_path, name):
    with pytest.raises(UserError, match="leaves"):
        inside(tmp_path, name)


def test_link_that_leaves_its_folder_is_refused(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path)
    with pytest.raises(UserError, match="leaves"):
        inside(folder, "link/secret")


def test_digest_does_not_depend_on_key_order():
    assert digest({"a": 1, "b": [2]}) == digest(json.loads('{"b": [2], "a": 1}'))
    assert digest({"a": 1}) != digest({"a": "1"})


def test_manifest_names_sizes_and_hashes(tmp_path):
    (tmp_path / "b").write_bytes(b"xy")
    (tmp_path / "a").write_bytes(b"")
    rows = manifest(tmp_path, ["b", "a"])
    assert [(row["name"], row["bytes"]) for row in rows] == [("a", 0), ("b", 2)]
    assert rows[1]["sha256"] == sha256_file(tmp_path / "b")
