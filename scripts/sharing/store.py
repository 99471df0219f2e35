"""DVC: naming, storing and moving the bytes, with its errors as sentences."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from scripts.lib.cli import UserError, say
from scripts.lib.files import json_object, write_text

LOCK = Path("dvc.lock")
CHUNK = 1 << 20
# Options of DVC's remotes that hold a secret.
SECRETS = {
    "access_key_id", "account_key", "client_secret", "connection_string", "custom_auth_header", "oss_key_secret",
    "passphrase", "password", "sas_token", "secret_access_key", "session_token", "token",
}  # fmt: skip


class Store:
    """This checkout's DVC repository."""

    def __init__(self) -> None:
        from dvc.exceptions import NotDvcRepoError
        from dvc.repo import Repo

        try:
            self.repo = Repo(".")
        except NotDvcRepoError:
            raise UserError("this folder is no DVC repository; run `dvc init`, or clone the project again.") from None

    def remote(self) -> str:
        """Name and address of the default remote, without anything that follows a password or key.

        Raises:
            UserError: none is configured.
        """
        core = self.repo.config.get("core", {})
        name = core.get("remote")
        url = self.repo.config.get("remote", {}).get(name, {}).get("url")
        if not url:
            raise UserError("no remote is configured; add one by `dvc remote add --default NAME ADDRESS`.")
        return f"{name} ({without_secrets(str(url))})"

    def locked_stages(self) -> list[str]:
        """Stages that were shared in this revision.

        Raises:
            UserError: none, or the file is damaged.
        """
        if not LOCK.is_file():
            raise UserError(f"{LOCK}: not there: nothing was shared in this revision; `make share` does.")
        try:
            found = yaml.safe_load(LOCK.read_text(encoding="utf-8"))
            return list(found["stages"])
        except (yaml.YAMLError, KeyError, TypeError) as error:
            raise UserError(f"{LOCK}: does not read ({error}); `git checkout {LOCK}` brings it back.") from error

    def dirty_raw(self) -> list[str]:
        """Tracked data (*.dvc) whose content is not what its pointer says."""
        stages = [stage for stage in self.repo.index.stages if stage.path.endswith(".dvc")]
        return [str(out) for stage in stages for out in stage.outs if out.exists and out.changed_checksum()]

    def commit(self, names: list[str]) -> None:
        """Takes the stages' outputs as they are into the cache and writes dvc.lock."""
        with self.sentences("store"):
            for name in names:
                self.repo.commit(name, force=True, allow_missing=True)

    def push(self, names: list[str]) -> int:
        """Uploads what the remote lacks; returns the number of files."""
        with self.sentences(f"push to {self.remote()}"):
            return self.repo.push(targets=names)

    def fetch(self, names: list[str]) -> int:
        """Downloads what the cache lacks; returns the number of files."""
        with self.sentences(f"fetch from {self.remote()}"):
            return self.repo.fetch(targets=names)

    def checkout(self, names: list[str], *, force: bool) -> None:
        """Makes the outputs those of dvc.lock.

        Raises:
            UserError: there is work that would be lost.
        """
        with self.sentences("check out"):
            self.repo.checkout(targets=names, force=force)

    def objects(self, names: list[str]) -> dict[str, str]:
        """Every object that the named targets need: file in the checkout to path in the cache."""
        found = {}
        cache = self.repo.cache.local
        for name in names:
            for info in self.repo.stage.collect_granular(name):
                for out in info.stage.filter_outs(info.filter_info):
                    if out.hash_info:
                        found |= objects_of(out, cache)
        return found

    def damaged(self, names: list[str]) -> dict[str, str]:
        """Objects of the cache that are not what their name says, file to path; they are removed."""
        known, seen, fresh = json_object(self.memory) or {}, {}, {}
        objects = {file: path for file, path in self.objects(names).items() if Path(path).is_file()}
        for path in dict.fromkeys(objects.values()):
            state = Path(path).stat()
            seen[path] = f"{state.st_size} {state.st_mtime_ns} {state.st_ino}"
            if known.get(path) != seen[path]:
                fresh[path] = "".join(Path(path).parts[-2:]).removesuffix(".dir")
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # hashing lets go of the interpreter
            sums = dict(zip(fresh, pool.map(md5_of, map(Path, fresh)), strict=True))
        bad = {path for path, wanted in fresh.items() if sums[path] != wanted}
        found = {file: path for file, path in objects.items() if path in bad}
        seen = {path: key for path, key in seen.items() if path not in bad}
        for path in set(found.values()):
            Path(path).unlink()
        write_text(self.memory, json.dumps(known | seen))
        return found

    def lacking(self, names: list[str]) -> dict[str, str]:
        """Objects that the cache does not have, file to path."""
        return {file: path for file, path in self.objects(names).items() if not Path(path).is_file()}

    @contextlib.contextmanager
    def sentences(self, doing: str) -> Iterator[None]:
        """DVC's errors as one sentence each, with the cause that it only logs and without what is secret.

        Raises:
            UserError: what failed and what to do.
        """
        causes = Causes()
        loggers = [logging.getLogger(name) for name in ("dvc", "dvc_data", "dvc_objects")]
        for one in loggers:
            one.addHandler(causes)
        try:
            yield
        except UserError:
            raise
        except Exception as error:  # each kind of remote has a library with errors of its own
            text = f"could not {doing}: {advice(error, causes.said)}"
            raise UserError(censored(text, self.repo.config.get("remote", {}))) from None
        finally:
            for one in loggers:
                one.removeHandler(causes)

    @property
    def memory(self) -> Path:
        """Where it is kept which objects were found whole."""
        return Path(self.repo.tmp_dir) / "questline-verified.json"


def objects_of(out: Any, cache: Any) -> dict[str, str]:
    """An output's objects: the file, or a folder's list of files and all of them."""
    path, oid = str(out), out.hash_info.value
    found = {path: cache.oid_to_path(oid)}
    if out.hash_info.isdir and Path(found[path]).is_file():
        try:
            entries = json.loads(Path(found[path]).read_bytes())
            found |= {f"{path}/{entry['relpath']}": cache.oid_to_path(entry["md5"]) for entry in entries}
        except (ValueError, KeyError, TypeError):
            pass  # a damaged list: it is found by its hash
    return found


def md5_of(path: Path) -> str:
    """The MD5 by which DVC names an object."""
    hashed = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as stream:
        while block := stream.read(CHUNK):
            hashed.update(block)
    return hashed.hexdigest()


def without_secrets(url: str) -> str:
    """An address without user, password and query.

    Example: ``https://me:secret@host/x?sig=1`` -> ``https://host/x``.
    """
    scheme, mark, rest = url.partition("://")
    if not mark:
        return url
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path.partition('?')[0]}"


def censored(text: str, remotes: dict[str, dict[str, Any]]) -> str:
    """A text without the secrets of the configured remotes, whatever library put them there."""
    for remote in remotes.values():
        for key, value in remote.items():
            if key in SECRETS and str(value):
                text = text.replace(str(value), "***")
    return re.sub(r"://[^/@\s]+@", "://", text)


class Causes(logging.Handler):
    """Keeps what DVC logs of failures: the exceptions it raises only count them."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        cause = record.exc_info[1] if record.exc_info else None
        self.said.append(str(cause) if cause else record.getMessage())


def advice(error: BaseException, said: list[str]) -> str:
    """What went wrong, in a line, and what to do next."""
    text = next((line for line in [*said, str(error)] if line), type(error).__name__).splitlines()[0]
    whole = " ".join([*said, str(error)])
    if "No space left" in whole or "Errno 28" in whole:
        return f"{text}; free some space, then run this again: it goes on where it stopped."
    if "unsaved files" in str(error):
        lost = str(error).splitlines()[1:]
        return (
            f"{lost[0] if lost else 'files here'} ({len(lost)} files) would be lost: it was made here and never "
            "shared; share it first (`make share`), or give it up (`.venv/bin/python -m scripts.pull --force`)."
        )
    if "requires" in whole and "dvc-" in whole:
        return f"{text}; install the kind of remote you use, for S3 by `pip install -r envs/remotes.txt`."
    return f"{text}; see that the remote is there and that you may use it, then run this again."


def told(size: float) -> str:
    """A size for people: ``1.2 GB``, ``3 kB``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit in ("bytes", "kB") else f"{size:.1f} {unit}"
        size /= 1000
    return ""


def list_sizes(sizes: dict[str, int]) -> None:
    """Says what is about to be shared, the largest first."""
    for name, size in sorted(sizes.items(), key=lambda one: -one[1]):
        say(f"  {told(size):>9}  {name}")
