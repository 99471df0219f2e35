"""Brings city meshes into a folder: from a URL with a checksum, or out of a zip archive.

What broke off goes on where it ended. OBJ files come out of an archive under their own names; `source.json` comes last
and holds the address, the checksum, and every file's name, size and hash. Where that is there and the files are as it
says, nothing is done.

For Project PLATEAU (Japan's cities): find a city's OBJ package at the G-Spatial Information Center, copy the address
of its zip archive, and run `python -m scripts.aerial.fetch URL --out data/raw/aerial/CITY` once. It says the SHA-256;
with it the source stands in the configuration: `{url: URL, sha256: SUM}`. Then `python -m scripts.aerial.check` tells
whether the tiles are in metres with z up. Each package states its licence, and whom to name.
"""

from __future__ import annotations

import argparse
import zipfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

from scripts.aerial.options import AerialSourceOptions
from scripts.lib.archive import unpack
from scripts.lib.cli import StageParser, UserError, load_params, run, say
from scripts.lib.download import download
from scripts.lib.files import atomic_path, inside, manifest, read_json, sha256_file, write_json
from scripts.lib.options.strict import Options

SOURCE = "source.json"
SUFFIX = ".obj"


class FetchOptions(Options):
    """What the command takes as --params."""

    max_unpacked_gb: float = AerialSourceOptions.model_fields["max_unpacked_gb"].default
    """an archive that holds more is refused unread"""


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    result = StageParser(__doc__)
    result.add_argument("source", help="http(s) address of an OBJ file or zip archive, or a local one")
    result.add_argument("--sha256", help="of the file; without it whatever comes is taken, and its checksum said")
    result.add_argument("--out", type=Path, required=True, help="folder to write")
    return result


def main(args: argparse.Namespace) -> None:
    """Fetches and unpacks, unless that is done."""
    options = FetchOptions.parse(load_params(args.params))
    fetch(args.source, args.sha256, args.out, options.max_unpacked_gb)


def fetch(source: str, sha256: str | None, out: Path, max_unpacked_gb: float) -> list[str]:
    """Brings the OBJ files of a source into ``out``; their names, sorted.

    Raises:
        UserError: it is not there, is something else, or its checksum differs.
    """
    done = finished(out, source, sha256)
    if done is not None:
        say(f"{out}: up to date")
        return done
    remote = "://" in source
    path = inside(out, file_name(source)) if remote else Path(source)
    if remote:
        found = download(source, path, sha256)
    else:
        found = local_sum(path, sha256)
    names = bring(path, out, max_unpacked_gb)
    if remote and path.name not in names:
        path.unlink()  # everything wanted is out of the archive; an unpacked city is large enough
    write_json(out / SOURCE, {"source": source, "sha256": found, "files": manifest(out, names)})
    if sha256 is None:
        say(f"{source}: sha256 {found}; name it from now on, so that a changed file is noticed.")
    say(f"{out}: {len(names)} OBJ files")
    return names


def finished(out: Path, source: str, sha256: str | None) -> list[str] | None:
    """The names of the files where an earlier run has brought them all; None where it has not."""
    if not (out / SOURCE).is_file():
        return None
    listed = read_json(out / SOURCE)
    if not isinstance(listed, dict) or listed.get("source") != source or sha256 not in (None, listed.get("sha256")):
        return None
    names = [row["name"] for row in listed["files"]]
    there = all(inside(out, name).is_file() for name in names)
    return names if there and manifest(out, names) == listed["files"] else None


def file_name(url: str) -> str:
    """What a download is called in the folder: the last part of its address.

    Raises:
        UserError: it has none.
    """
    parts = urlsplit(url)
    name = Path(unquote(parts.path).replace("\\", "/")).name
    if parts.scheme not in ("http", "https") or not name or name.startswith("."):
        raise UserError(f"{url}: not the http(s) address of a file; copy that of an OBJ file or a zip archive.")
    return name


def local_sum(path: Path, sha256: str | None) -> str:
    """The checksum of a file.

    Raises:
        UserError: it is not there, or has another one.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; check the path of the archive.")
    found = sha256_file(path)
    if sha256 not in (None, found):
        raise UserError(f"{path}: SHA-256 is {found}, expected {sha256}; take the right file, or correct the checksum.")
    return found


def bring(path: Path, out: Path, max_unpacked_gb: float) -> list[str]:
    """OBJ files from a file into the folder; their names.

    Raises:
        UserError: it is neither an OBJ file nor an archive of them.
    """
    if path.suffix.lower() == SUFFIX:
        if path.resolve().parent != out.resolve():
            with atomic_path(out / path.name) as part:
                part.write_bytes(path.read_bytes())
        return [path.name]
    if not zipfile.is_zipfile(path):
        raise UserError(f"{path}: neither an OBJ file nor a zip archive; CityGML and other formats must be converted.")
    names, others = unpack(path, out, {SUFFIX}, max_unpacked_gb * 1e9)
    if not names:
        raise UserError(f"{path}: holds no OBJ file among {others} others; take the city's package in OBJ.")
    if others:
        say(f"{path}: {others} files that are no OBJ file stayed inside.")
    return names


if __name__ == "__main__":
    run(parser, main)
