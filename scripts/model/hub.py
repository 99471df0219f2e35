"""A model's files from a Hugging Face hub (or a mirror with the same protocol), by resolved commit."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from scripts.lib.cli import UserError

SAFE_WEIGHTS = ("model*.safetensors", "model.safetensors.index.json")
PICKLED_WEIGHTS = ("pytorch_model*.bin", "pytorch_model.bin.index.json")
AROUND = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "spiece.model",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "preprocessor_config.json",
    "processor_config.json",
)
REFERENCE = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)@(?P<revision>[\w./-]+)")


def wanted_files(names: list[str]) -> list[str]:
    """The files of a repository that make a model: safetensors, or pickled weights where there are no safetensors."""

    def matching(patterns: Sequence[str]) -> list[str]:
        return [name for name in names if "/" not in name and any(fnmatch(name, pattern) for pattern in patterns)]

    weights = matching(SAFE_WEIGHTS)
    if not any(name.endswith(".safetensors") for name in weights):
        weights = matching(PICKLED_WEIGHTS)
    return sorted(weights + [name for name in names if name in AROUND])


def fetch(reference: str) -> tuple[Path, str, list[str]]:
    """Downloads ``org/name@revision`` into the hub's cache, which resumes a broken download.

    The revision defaults to main. HF_ENDPOINT names another server, HF_HOME another cache. Without a network a copy
    already in the cache is used.

    Returns:
        The snapshot's folder, the resolved commit, and the names of the files that make the model.

    Raises:
        UserError: the reference has another form, the repository, its revision or the network is not available, or
            the repository holds no weights.
    """
    import httpx
    from huggingface_hub import get_cached_repo_tree, snapshot_download
    from huggingface_hub.errors import CachedRepoTreeNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

    match = REFERENCE.fullmatch(reference if "@" in reference else reference + "@main")
    if match is None:
        raise UserError(f"hf:{reference}: not of the form hf:org/name@revision; write for example hf:org/model@main.")
    repo, revision = match["repo"], match["revision"]
    endpoint = os.environ.get("HF_ENDPOINT")
    try:
        names = remote_files(reference, repo, revision, endpoint)
        folder = snapshot_download(repo, revision=revision, allow_patterns=names, endpoint=endpoint, etag_timeout=30)
    except (HfHubHTTPError, OSError, httpx.HTTPError) as error:
        try:
            names = wanted_files([file.path for file in get_cached_repo_tree(repo, revision=revision)])
            folder = snapshot_download(repo, revision=revision, allow_patterns=names, local_files_only=True)
        except (CachedRepoTreeNotFoundError, LocalEntryNotFoundError):
            raise UserError(
                f"hf:{reference}: could not be downloaded ({first_line(error)}) and is not whole in the local cache; "
                "check the network (HF_ENDPOINT names a mirror), or point the base at a copy with path:FOLDER."
            ) from error
    return Path(folder), Path(folder).name, names  # the cache names a snapshot's folder by its commit


def remote_files(reference: str, repo: str, revision: str, endpoint: str | None) -> list[str]:
    """The files on the hub that make the model.

    Raises:
        UserError: the repository or revision does not exist, is gated, or holds no weights.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        info = HfApi(endpoint=endpoint).model_info(repo, revision=revision, timeout=30)
    except GatedRepoError:
        raise UserError(
            f"hf:{reference}: access to this model must be asked for on the hub; accept its terms there and log in "
            "with `hf auth login`."
        ) from None
    except RevisionNotFoundError:
        raise UserError(f"hf:{reference}: {repo} has no revision {revision!r}; name a branch, tag or commit.") from None
    except RepositoryNotFoundError:
        raise UserError(f"hf:{reference}: the hub has no public model {repo!r}; check the name, or log in.") from None
    names = wanted_files([sibling.rfilename for sibling in info.siblings or []])
    if not any(name.endswith((".safetensors", ".bin")) for name in names):
        raise UserError(f"hf:{reference}: holds neither model.safetensors nor pytorch_model.bin; name another model.")
    return names


def first_line(error: Exception) -> str:
    """The first line of a library's error message, at most 160 characters; the error's class where it is empty."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:160].rstrip(".")
