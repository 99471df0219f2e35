"""Reads and writes files; a write that is killed leaves either the old content or the new."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from scripts.lib.cli import UserError

CHUNK = 1 << 20  # bytes that are copied at a time


def sha256_file(path: Path) -> str:
    """The SHA-256 of a file's bytes as 64 hex digits; the file may be larger than the memory."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text, so it can be hashed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(value: Any) -> str:
    """The SHA-256 of a JSON value in its canonical form, as 64 hex digits."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside ``path``, which is renamed to ``path`` if the block ends without an error.

    After an error, such as a full disk, the partial file is removed and ``path`` is unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    part = Path(name)
    try:
        yield part
        mask = os.umask(0)  # Python cannot read the mask without setting it
        os.umask(mask)
        part.chmod(0o666 & ~mask)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text with Unix line ends, atomically."""
    with atomic_path(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON value, indented, keys in the given order, with a final newline, atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Reads one JSON value.

    Raises:
        UserError: the file is missing or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; build it first, or check the path.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid JSON ({error}); delete it and build it again.") from error


def json_object(path: Path) -> dict[str, Any] | None:
    """The JSON object in a file that may be missing or damaged; None where it is."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def write_jsonl(path: Path, rows: Iterable[Any]) -> int:
    """Writes one JSON value per line, atomically; returns the number of lines."""
    count = 0
    with atomic_path(path) as part, part.open("w", encoding="utf-8", newline="\n") as stream:
        for row in rows:
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


def read_jsonl(path: Path) -> Iterator[tuple[int, Any]]:
    """Yields (line number from 1, value) for each line that is not blank.

    Raises:
        UserError: the file is missing, not UTF-8, or a line is not JSON; it names the line.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; build it first, or check the path.")
    with path.open("rb") as stream:
        for number, raw in enumerate(stream, 1):
            if not raw.strip():
                continue
            try:
                yield number, json.loads(raw.decode("utf-8"))
            except (json.JSONDecodeError, UnicodeDecodeError) as error:
                raise UserError(f"{path}, line {number}: not valid JSON ({error}); mend or remove the line.") from error


def inside(folder: Path, name: str) -> Path:
    """``folder / name``, resolved; it must stay inside the folder, also after following links.

    Raises:
        UserError: the path leaves the folder.
    """
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise UserError(f"{name}: this path leaves {folder}; use a path inside it.")
    return path


def below(folder: Path, name: str) -> Path:
    """``folder / name``; the name must stay inside the folder, but unlike in `inside` a link may lead out.

    For data whose files may be links into DVC's cache.

    Raises:
        UserError: the name is absolute, or contains ``..``.
    """
    path = Path(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts:
        raise UserError(f"{name}: this path leaves {folder}; use a path inside it.")
    return folder / path


def named_files(flag: str, arguments: Iterable[str], example: str, taken: Collection[str] = ()) -> dict[str, Path]:
    """The files of a ``NAME=FILE ...`` flag by name: ``["Q8_0=a.gguf"]`` as ``{"Q8_0": Path("a.gguf")}``.

    Args:
        example: a right argument, for the error.
        taken: names that mean something else.

    Raises:
        UserError: an argument has another form, or a name is taken or given twice.
    """
    files: dict[str, Path] = {}
    for argument in arguments:
        name, sign, file = argument.partition("=")
        if not (name and sign and file):
            raise UserError(f"{flag} {argument}: write it as NAME=FILE, such as {example}.")
        if name in taken:
            raise UserError(f"{flag} {argument}: {name} names another variant; choose another name.")
        if name in files:
            raise UserError(f"{flag} {argument}: {name} is given twice; name each once.")
        files[name] = Path(file)
    return files


def manifest(folder: Path, names: Iterable[str]) -> list[dict[str, Any]]:
    """Name, size in bytes and SHA-256 of each named file in ``folder``, sorted by name."""
    return [
        {"name": name, "bytes": (folder / name).stat().st_size, "sha256": sha256_file(folder / name)}
        for name in sorted(names)
    ]
