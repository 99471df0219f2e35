"""Brings city meshes into a folder: from a URL with a checksum, or out of a zip archive.

An interrupted download resumes. OBJ files keep their names inside an archive; `source.json` is written last and holds
the address, the checksum, and the name, size and hash of every file. If it exists and the files match it, nothing is
done.

For Project PLATEAU (Japan's cities): find a city's OBJ package at the G-Spatial Information Center, copy the address
of its zip archive, and run `python -m scripts.aerial.fetch URL --out data/raw/aerial/CITY` once. It prints the SHA-256
for the configuration: `{url: URL, sha256: SUM}`. Then `python -m scripts.aerial.check` reports whether the tiles are in
metres with z up. Each package states its licence and the attribution that it asks for.
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
    """The command's --params."""

    max_unpacked_gb: float = AerialSourceOptions.model_fields["max_unpacked_gb"].default
    """an archive that holds more is refused unread"""


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    result = StageParser(__doc__)
    result.add_argument("source", help="http(s) address of an OBJ file or zip archive, or a local one")
    result.add_argument("--sha256", help="of the file; without it any file is accepted, and its checksum printed")
    result.add_argument("--out", type=Path, required=True, help="folder to write")
    return result


def main(args: argparse.Namespace) -> None:
    """Fetches and unpacks, unless that is done.

    Raises:
        UserError: the source is missing, is something else, or has another checksum.
    """
    options = FetchOptions.parse(load_params(args.params))
    source, out, sha256 = args.source, args.out, args.sha256
    if finished(out, source, sha256):
        say(f"{out}: up to date")
        return
    remote = "://" in source
    if remote:
        path = inside(out, file_name(source))
        checksum = download(source, path, sha256)
    else:
        path = Path(source)
        if not path.is_file():
            raise UserError(f"{path}: no such file; check the path of the archive.")
        checksum = sha256_file(path)
        if sha256 not in (None, checksum):
            raise UserError(
                f"{path}: SHA-256 is {checksum}, expected {sha256}; take the right file, or correct the checksum."
            )
    names = bring(path, out, options.max_unpacked_gb)
    if remote and path.name not in names:
        path.unlink()  # an unpacked city is large enough without its archive
    write_json(out / SOURCE, {"source": source, "sha256": checksum, "files": manifest(out, names)})
    if sha256 is None:
        say(f"{source}: sha256 {checksum}; name it from now on, so that a changed file is noticed.")
    say(f"{out}: {len(names)} OBJ files")


def finished(out: Path, source: str, sha256: str | None) -> bool:
    """Whether an earlier run has brought all files, and they are unchanged."""
    if not (out / SOURCE).is_file():
        return False
    listed = read_json(out / SOURCE)
    if not isinstance(listed, dict) or listed.get("source") != source or sha256 not in (None, listed.get("sha256")):
        return False
    names = [row["name"] for row in listed["files"]]
    return all(inside(out, name).is_file() for name in names) and manifest(out, names) == listed["files"]


def file_name(url: str) -> str:
    """The name of a download in the folder: the last part of its address.

    Raises:
        UserError: the address has none.
    """
    parts = urlsplit(url)
    name = Path(unquote(parts.path).replace("\\", "/")).name
    if parts.scheme not in ("http", "https") or not name or name.startswith("."):
        raise UserError(f"{url}: not the http(s) address of a file; copy that of an OBJ file or a zip archive.")
    return name


def bring(path: Path, out: Path, max_unpacked_gb: float) -> list[str]:
    """Copies or unpacks the OBJ files of a file into the folder; returns their names.

    Raises:
        UserError: the file is neither an OBJ file nor an archive of them.
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
