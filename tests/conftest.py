"""Fixtures that several test files share."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scripts.model.convert import CONVERTER_MODULE, converter_dir


@pytest.fixture(scope="session")
def converter() -> Path:
    """The folder of llama.cpp's converter."""
    folder = converter_dir().resolve()
    if not (folder / CONVERTER_MODULE).is_file():
        pytest.skip(f"no GGUF converter in {folder}: run `make setup`")
    return folder


@pytest.fixture(scope="session")
def exports(converter, tmp_path_factory):
    """Every architecture of config/full.yaml, from a random base through all stages to its quants."""
    from exported import ARCHITECTURES, convert_and_quantise, train_and_merge

    runs = {arch: train_and_merge(arch, tmp_path_factory.mktemp(arch)) for arch in ARCHITECTURES}
    with ThreadPoolExecutor(2) as pool:  # the converter spends seconds on its imports
        list(pool.map(lambda run: convert_and_quantise(run, converter), runs.values()))
    return runs
