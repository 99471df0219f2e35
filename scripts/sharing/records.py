"""Snakemake's records of output files: the inputs, parameters and code that made them. They are shared with the files.

``data/records/<stage>/records.json`` holds the records of one stage::

    {"configfiles": ["config/demo.yaml"], "outputs": ["models/dnd/dm/adapter/adapter_config.json", ...],
     "withheld": {"models/base/gemma": "licence gemma ..."}, "records": {"models/dnd/...": {"rule": "train", ...}}}
"""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

from scripts.lib.cli import UserError
from scripts.lib.files import json_object, read_json, write_json, write_text
from scripts.lib.snakemake_records import METADATA, record_files
from scripts.sharing.rooms import RECORDS, Stage, stage_of

SNAKEMAKE = Path(".snakemake")
INCOMPLETE = SNAKEMAKE / "incomplete"
INDEX = SNAKEMAKE / "questline-shared.json"
NAME_LENGTH = 254  # Snakemake splits a longer name into folders


def records_here() -> dict[str, dict[str, Any]]:
    """Every record of this checkout by the output's path; unreadable ones are left out."""
    records = {name: json_object(path) for name, path in record_files()}
    return {name: record for name, record in records.items() if record is not None}


def incomplete_here() -> set[str]:
    """Outputs that a killed run left marked as incomplete."""
    return {name for name, _ in record_files(INCOMPLETE)}


def record_path(name: str) -> Path:
    """Where Snakemake keeps the record of an output."""
    encoded = base64.urlsafe_b64encode(name.encode()).decode()
    parts = [encoded[at : at + NAME_LENGTH] for at in range(0, len(encoded), NAME_LENGTH)]
    return METADATA.joinpath(*(f"@{part}" for part in parts[:-1]), parts[-1])


def pack(stage: Stage, configfiles: list[str], withheld: dict[str, str]) -> None:
    """Writes the stage's records to where DVC takes them from."""
    mine = {name: record for name, record in sorted(records_here().items()) if stage_of(name) == stage.name}
    write_json(
        Path(stage.records) / "records.json",
        {
            "configfiles": configfiles,
            "outputs": sorted(file for file in stage.outputs if os.path.lexists(file)),
            "withheld": withheld,
            "records": mine,
        },
    )


def packed(name: str) -> dict[str, Any] | None:
    """The packed records of a stage; None if they are not here.

    Raises:
        UserError: the file is damaged.
    """
    path = Path(RECORDS) / name / "records.json"
    if not path.is_file():
        return None
    contents = read_json(path)
    if not isinstance(contents, dict) or not {"configfiles", "outputs", "records"} <= contents.keys():
        raise UserError(f"{path}: not a file of records; `dvc checkout {path.parent}` brings back the shared one.")
    return contents


def unpack(name: str) -> int:
    """Replaces this checkout's records of a stage by the packed ones; returns their number.

    Raises:
        UserError: an output has no record, so that Snakemake could not decide whether it is up to date.
    """
    contents = packed(name) or {"outputs": [], "records": {}}
    records = contents["records"]
    without = [file for file in contents["outputs"] if file not in records]
    if without:
        raise UserError(
            f"{without[0]}: shared without a record of what it was made from ({len(without)} files); "
            "whoever shared it has to run `make share` again."
        )
    for old in [old for old, _ in record_files() if stage_of(old) == name and old not in records]:
        record_path(old).unlink(missing_ok=True)
    METADATA.mkdir(parents=True, exist_ok=True)
    INCOMPLETE.mkdir(parents=True, exist_ok=True)  # without it Snakemake treats the records as an old version's
    for output, record in records.items():
        write_text(record_path(output), json.dumps(record))
    return len(records)


def write_index(names: list[str]) -> None:
    """Writes the index of shared files, file to stage, that each plan reads once there is one."""
    shared = {file: name for name in names for file in (packed(name) or {"outputs": []})["outputs"]}
    write_text(INDEX, json.dumps(shared))
