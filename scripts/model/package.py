"""What every system's package has: model files, serving files, transcript, card, checksums; published in one step.

A system's own deploy stage adds its arguments and files (`scripts.dnd.deploy`).
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
from scripts.model.card import write_card
from scripts.model.dataset import look
from scripts.model.logits import let_idle_threads_sleep
from scripts.model.vision import eyes_of
from scripts.packaging import ollama, serving, smoke
from scripts.packaging.contents import Package
from scripts.packaging.sums import write_sums

HF_FILES = (
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "vocab.json", "merges.txt", "chat_template.jinja", "model.safetensors.index.json",
)  # fmt: skip
ROOM = 8  # tokens of slack in the transcript's context


def publish(package: Package, add_files: Callable[[Package, Path], None], metric_words: dict[str, Any]) -> None:
    """Writes the package into a new folder and puts it in the place of the old one.

    ``add_files`` writes the system's own files; ``metric_words`` explain its metrics in the card.
    """
    with new_folder(package.out) as folder:
        copy_models(package, folder)
        if package.ggufs:
            write_serving(package, folder)
        write_json(folder / "deployment_config.json", serving.deployment_config(describe(package, folder)))
        add_files(package, folder)
        write_transcript(package, folder)
        write_card(folder / "README.md", package, metric_words)
        write_sums(folder)
    say(f"{package.out}: {len(list(package.out.rglob('*')))} files, default {package.default_file}")
    if not package.gate["passed"]:
        say(f"marked: {package.gate['why']}")


def copy_models(package: Package, folder: Path) -> None:
    """Copies weights, and for transformers the tokenizer and configuration beside them."""
    for path in package.model_files:
        shutil.copyfile(path, folder / path.name)
    for name in HF_FILES if package.merged else ():
        if (package.merged / name).is_file():
            shutil.copyfile(package.merged / name, folder / name)


def write_serving(package: Package, folder: Path) -> None:
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


def describe(package: Package, folder: Path) -> dict[str, Any]:
    """The facts of deployment_config.json."""
    base, gate = package.base, package.gate
    kinds = {path.name: quant for quant, path in package.ggufs.items()}
    files = [
        {**row, "format": Path(row["name"]).suffix.removeprefix("."), "quantization": kinds.get(row["name"])}
        for row in manifest(folder, [path.name for path in package.model_files])
    ]
    facts = {
        "name": package.name,
        "preset": package.preset,
        "scope": package.scope,
        "default": package.default_file,
        "formats": package.options.formats,
        "files": files,
        "architecture": package.facts.architecture if package.facts else base.get("architecture"),
        "parameters": package.facts.parameters if package.facts else base.get("parameters"),
        "context_length": package.context_length,
        "chat_template": package.chat_form.name if package.chat_form else "the model's own",
        "stop": ollama.stop_strings(package.chat_form, package.eos),
        "system_prompt": package.system_prompt,
        "generation": package.options.generation.model_dump(),
        "base": {key: base.get(key) for key in ("name", "source", "revision", "licence")},
        "gate": {key: gate.get(key) for key in ("passed", "variant", "why", "checks")},
    }
    if package.ggufs:
        mmproj = package.mmproj.name if package.mmproj else None
        command = serving.server_command(
            package.default_file, package.options.generation, package.context_length, mmproj
        )
        name = package.name.replace("/", "-")
        facts["serve"] = {"llama_server": command, "ollama": f"ollama create {name} -f Modelfile"}
    return facts


def write_transcript(package: Package, folder: Path) -> None:
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


def smoke_prompts(package: Package, folder: Path) -> list[dict[str, Any]]:
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
