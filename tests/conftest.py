"""Fixtures that several test files share."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scripts.model.convert import CONVERTER_MODULE, converter_dir

if "PYTEST_XDIST_WORKER" in os.environ:  # tests side by side: a core each, for what they start too
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="module", autouse=True)
def no_accelerator_left():
    """accelerate keeps its first settings for the whole process, and refuses the next file's where they differ."""
    yield
    if "accelerate" in sys.modules:
        from accelerate.state import AcceleratorState

        AcceleratorState._reset_state(reset_partial_state=True)


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
