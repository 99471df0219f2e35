"""Publishes a package in one step: model files, deployment_config.json, card, checksums, and what its family adds.

A system's own deploy stage adds its arguments and files (`scripts.dnd.deploy`). The folder is written beside its place
and takes it in one step. Its files hold no times: the same inputs give the same bytes.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scripts.lib.chat import encode, expand, prompt_text
from scripts.lib.cli import UserError, say
from scripts.lib.files import manifest, write_json, write_text
from scripts.lib.folders import new_folder
from scripts.lib.records import Record, read_records
from scripts.model.dataset import look
from scripts.model.logits import let_idle_threads_sleep
from scripts.model.vision import eyes_of
from scripts.packaging import ollama, serving, smoke
from scripts.packaging.card import write_card
from scripts.packaging.contents import LanguagePackage, Package
from scripts.packaging.sums import write_sums

HF_FILES = (
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "vocab.json", "merges.txt", "chat_template.jinja", "model.safetensors.index.json",
)  # fmt: skip
ROOM = 8  # tokens of slack in the transcript's context


def publish(package: Package, write_files: Callable[[Path], None], facts: Callable[[Path], dict[str, Any]]) -> None:
    """Writes a package of any model family into a new folder and puts it in the place of the old one.

    Args:
        write_files: writes what is the family's or the system's own, model files aside.
        facts: from the folder to what the family adds to deployment_config.json.
    """
    with new_folder(package.out) as folder:
        for path in package.model_files:
            shutil.copyfile(path, folder / path.name)
        write_files(folder)
        gate = {key: package.gate.get(key) for key in ("passed", "variant", "why", "checks")}
        shared = {
            "name": package.name,
            "preset": package.preset,
            "scope": package.scope,
            "default": package.default_file,
            "files": manifest(folder, [path.name for path in package.model_files]),
        }
        config = {**shared, **facts(folder), "gate": gate}
        write_json(folder / "deployment_config.json", config)
        write_card(folder, package, config)
        write_sums(folder)
    say(f"{package.out}: {len(list(package.out.rglob('*')))} files, default {package.default_file}")
    if not package.gate["passed"]:
        say(f"marked: {package.gate['why']}")


def publish_language(package: LanguagePackage, add_files: Callable[[Path], None]) -> None:
    """Publishes the package of a language model; ``add_files`` writes the system's own files."""

    def write_files(folder: Path) -> None:
        for name in HF_FILES if package.merged else ():
            if (package.merged / name).is_file():
                shutil.copyfile(package.merged / name, folder / name)
        if package.ggufs:
            write_serving(package, folder)
        add_files(folder)
        write_transcript(package, folder)

    publish(package, write_files, lambda folder: language_facts(package, folder))


def write_serving(package: LanguagePackage, folder: Path) -> None:
    """The Modelfile and the llama-server script."""
    file, generation = package.default_file, package.options.generation
    mmproj = package.mmproj.name if package.mmproj else None
    text = ollama.modelfile(
        file, package.chat_form, package.eos, package.system_prompt, generation, package.context_length, mmproj
    )
    write_text(folder / "Modelfile", text)
    script = folder / "run-llama-server.sh"
    write_text(script, serving.server_script(file, generation, package.context_length, mmproj))
    script.chmod(0o755)


def language_facts(package: LanguagePackage, folder: Path) -> dict[str, Any]:
    """What deployment_config.json holds of a language model."""
    base, header = package.base, package.facts
    kinds = {path.name: quant for quant, path in package.ggufs.items()}
    files = [
        {**row, "format": Path(row["name"]).suffix.removeprefix("."), "quantization": kinds.get(row["name"])}
        for row in manifest(folder, [path.name for path in package.model_files])
    ]
    facts = {
        "formats": package.options.formats,
        "files": files,
        "architecture": header.architecture if header else base.get("architecture"),
        "parameters": header.parameters if header else base.get("parameters"),
        "context_length": package.context_length,
        "chat_template": package.chat_form.name if package.chat_form else "the model's own",
        "stop": ollama.stop_strings(package.chat_form, package.eos),
        "system_prompt": package.system_prompt,
        "generation": package.options.generation.model_dump(),
    }
    if package.ggufs:
        mmproj = package.mmproj.name if package.mmproj else None
        generation = package.options.generation
        command = serving.server_command(package.default_file, generation, package.context_length, mmproj)
        create = f"ollama create {package.name.replace('/', '-')} -f Modelfile"
        facts["serve"] = {"llama_server": command, "ollama": create}
    return facts | {"base": {key: base.get(key) for key in ("name", "source", "revision", "licence")}}


def write_transcript(package: LanguagePackage, folder: Path) -> None:
    """test_results.json: greedy answers of the default file, as it lies in the package."""
    let_idle_threads_sleep()  # before transformers loads OpenMP
    tokens = package.options.smoke_tokens
    prompts = smoke_prompts(package, folder)
    default = package.default_file if package.ggufs else sorted(folder.glob("*.safetensors"))[0].name
    longest = max(row.pop("tokens") for row in prompts)
    if package.ggufs:
        mmproj = folder / package.mmproj.name if package.mmproj else None
        with smoke.open_gguf(folder / default, longest + tokens + ROOM, mmproj) as engine:
            cases = smoke.record(engine, prompts, tokens, folder)
    else:
        cases = smoke.record(smoke.HfEngine(folder), prompts, tokens, folder)
    transcript = smoke.Transcript(
        file=default,
        sha256=manifest(folder, [default])[0]["sha256"],
        engine="llama.cpp" if package.ggufs else "transformers",
        max_tokens=tokens,
        mmproj=package.mmproj.name if package.mmproj and package.ggufs else None,
        cases=cases,
    )
    write_json(folder / smoke.NAME, transcript.model_dump())


def smoke_prompts(package: LanguagePackage, folder: Path) -> list[dict[str, Any]]:
    """First answers of test records drawn evenly over the split, whose prompts leave room for an answer.

    Pictures go into the package as the model sees them, under ``smoke/``.

    Raises:
        UserError: no prompt fits.
    """
    room = package.context_length - package.options.smoke_tokens - ROOM
    fitting: list[dict[str, Any]] = []
    eyes = eyes_of(package.base_folder)
    for record in evenly(read_records(package.records)):
        pictures, features = look(record, package.records, eyes)
        prompt = prompt_text(package.tokenizer, record, record.answers[0])
        count = len(encode(package.tokenizer, expand(prompt, features)))
        if count <= room:
            row = {"id": record.id, "answer": record.answers[0], "prompt": prompt, "tokens": count}
            shown = [smoke.keep_picture(eyes.encoded(picture), folder) for picture in pictures] if eyes else []
            fitting.append(row | ({"images": shown} if shown else {}))
        if len(fitting) == package.options.smoke_prompts:
            break
    if not fitting:
        raise UserError(
            f"{package.records}: no prompt fits into {room} tokens; lower deploy.smoke_tokens or add records."
        )
    return fitting


def evenly(records: list[Record]) -> list[Record]:
    """Records that have an answer, in an order whose every beginning is spread over the whole list."""
    usable = [record for record in records if record.answers]
    # Multiples of the golden ratio, fractional part: a low-discrepancy sequence, the same on every machine.
    return [usable[index] for index in sorted(range(len(usable)), key=lambda index: (index * 0.6180339887498949) % 1)]
