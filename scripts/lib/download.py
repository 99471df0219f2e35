"""Downloads a file with a checksum; an interrupted download is resumed."""

from __future__ import annotations

import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from tqdm import tqdm

from scripts.lib.cli import UserError
from scripts.lib.files import sha256_file

TRIES = 4  # connections before the download fails
PAUSE = 1.0  # seconds before the second try, doubled for each further try
TIMEOUT = httpx.Timeout(60, connect=20)


def download(url: str, path: Path, sha256: str | None = None) -> str:
    """Downloads into ``path``, unless a file with that checksum is there.

    Until the download is complete and checked, the file is ``.<name>.part`` in the same folder. After an interruption
    it stays there, and the next call requests only the rest (HTTP range). A server without ranges sends the whole file.

    Args:
        url: the file's address.
        path: the file to write.
        sha256: 64 hex digits; None accepts any content.

    Returns:
        The file's SHA-256.

    Raises:
        UserError: the server refuses, the network fails too often, or the checksum differs.
    """
    if sha256 is not None and path.is_file() and sha256_file(path) == sha256:
        return sha256
    part = path.with_name(f".{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    resumed = _size(part) > 0
    checksum = _fetch_all(url, part)
    if sha256 is not None and checksum != sha256 and resumed:  # the part was of another file
        part.unlink()
        checksum = _fetch_all(url, part)
    if sha256 is not None and checksum != sha256:
        part.unlink()
        raise UserError(
            f"{url}: SHA-256 is {checksum}, expected {sha256}; the file has changed or was damaged on its way: check "
            "the address, or correct the checksum if the new file is right."
        )
    part.replace(path)
    return checksum


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _fetch_all(url: str, part: Path) -> str:
    """Fetches the missing bytes in at most `TRIES` connections; returns the checksum.

    Raises:
        UserError: the server refuses, or the network fails too often.
    """
    for attempt in range(TRIES):
        try:
            _fetch(url, part)
            return sha256_file(part)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            if attempt + 1 == TRIES or isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
                raise UserError(
                    f"{url}: could not be downloaded ({type(error).__name__}: {error}); {_size(part):,} bytes are "
                    "kept, check the network and run this again."
                ) from error
            time.sleep(PAUSE * 2**attempt)
    raise AssertionError


def _fetch(url: str, part: Path) -> None:
    """One connection: appends to ``part``, or overwrites it if the server sends the whole file.

    Raises:
        UserError: the server refuses.
        httpx.HTTPError: the connection failed.
    """
    start = _size(part)
    # Without content encoding the server sends the bytes of the file, which ranges count.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with httpx.stream("GET", url, headers=headers, follow_redirects=True, timeout=TIMEOUT) as answer:
        if answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE and start:
            return  # the part is complete, or of another file: `download` compares the checksum
        if answer.status_code >= 500:
            raise httpx.RemoteProtocolError(f"the server answered {answer.status_code}")
        if answer.status_code not in (httpx.codes.OK, httpx.codes.PARTIAL_CONTENT):
            reason = f"{answer.status_code} {answer.reason_phrase}"
            raise UserError(f"{url}: the server answered {reason}; check the address.")
        sent = answer.headers.get("Content-Range", "")
        if answer.status_code != httpx.codes.PARTIAL_CONTENT or not sent.startswith(f"bytes {start}-"):
            start = 0
        total = int(answer.headers.get("Content-Length", 0)) + start
        name = Path(urlsplit(str(answer.url)).path).name
        bar = tqdm(desc=name, total=total or None, initial=start, unit="B", unit_scale=True, disable=None)
        with bar, part.open("ab" if start else "wb") as stream:
            for block in answer.iter_raw():  # in small blocks: a block is lost if the connection fails within it
                stream.write(block)
                bar.update(len(block))
