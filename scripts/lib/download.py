"""A file by URL, with a checksum; a download that broke off goes on where it ended."""

from __future__ import annotations

import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from tqdm import tqdm

from scripts.lib.cli import UserError
from scripts.lib.files import sha256_file

TRIES = 4  # connections that break off before it is given up
PAUSE = 1.0  # seconds before the second try, doubled for each further one
TIMEOUT = httpx.Timeout(60, connect=20)


def download(url: str, path: Path, sha256: str | None = None) -> str:
    """Downloads into ``path``; what is there already with that checksum is kept.

    Until it is whole and checked, the file is ``.<name>.part`` beside it, and stays there when this ends early: the
    next call asks for the rest only (HTTP range). A server that knows no ranges sends all of it again.

    Args:
        sha256: 64 hex digits; None: whatever comes is taken.

    Returns:
        The file's SHA-256.

    Raises:
        UserError: the server refuses, the network breaks off too often, or the checksum differs.
    """
    if sha256 is not None and path.is_file() and sha256_file(path) == sha256:
        return sha256
    part = path.with_name(f".{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    resumed = part.is_file() and part.stat().st_size > 0
    found = _whole(url, part)
    if sha256 is not None and found != sha256 and resumed:  # what was there was of another file
        part.unlink()
        found = _whole(url, part)
    if sha256 is not None and found != sha256:
        part.unlink()
        raise UserError(
            f"{url}: SHA-256 is {found}, expected {sha256}; the file has changed or was damaged on its way: check the "
            "address, or correct the checksum if the new file is right."
        )
    part.replace(path)
    return found


def _whole(url: str, part: Path) -> str:
    """Fetches what is missing, in as many connections as it takes; the checksum."""
    for attempt in range(TRIES):
        try:
            _fetch(url, part)
            return sha256_file(part)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            if attempt + 1 == TRIES or isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
                there = part.stat().st_size if part.is_file() else 0
                raise UserError(
                    f"{url}: could not be downloaded ({type(error).__name__}: {error}); {there:,} bytes are kept, "
                    "check the network and run this again."
                ) from error
            time.sleep(PAUSE * 2**attempt)
    raise AssertionError


def _fetch(url: str, part: Path) -> None:
    """One connection: appends to ``part``, or writes it anew where the server sends all of it.

    Raises:
        UserError: the server refuses.
        httpx.HTTPError: the connection broke off.
    """
    there = part.stat().st_size if part.is_file() else 0
    # Without an encoding of its own the server sends the very bytes that are counted and resumed.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={there}-"} if there else {})
    with httpx.stream("GET", url, headers=headers, follow_redirects=True, timeout=TIMEOUT) as answer:
        if answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE and there:
            return  # nothing is missing, or it is another file: the checksum tells
        if answer.status_code >= 500:
            raise httpx.RemoteProtocolError(f"the server answered {answer.status_code}")
        if answer.status_code not in (httpx.codes.OK, httpx.codes.PARTIAL_CONTENT):
            reason = f"{answer.status_code} {answer.reason_phrase}"
            raise UserError(f"{url}: the server answered {reason}; check the address.")
        goes_on = answer.status_code == httpx.codes.PARTIAL_CONTENT and _starts_at(answer, there)
        total = int(answer.headers.get("Content-Length", 0)) + there * goes_on
        _write(answer, part, there if goes_on else 0, total)


def _starts_at(answer: httpx.Response, place: int) -> bool:
    """Whether the part that comes begins where ours ends."""
    return answer.headers.get("Content-Range", "").startswith(f"bytes {place}-")


def _write(answer: httpx.Response, part: Path, there: int, total: int) -> None:
    """Writes what comes, with a progress bar."""
    name = Path(urlsplit(str(answer.url)).path).name
    bar = tqdm(desc=name, total=total or None, initial=there, unit="B", unit_scale=True, disable=None)
    with bar, part.open("ab" if there else "wb") as stream:
        for block in answer.iter_raw():  # a larger block would be lost with the connection
            stream.write(block)
            bar.update(len(block))
