"""Certifies that nothing was lost between the base and the quantised files.

Every integrity check has a limit that no configuration switches off: weights, the adapter's effect, tokenizer, prompt
and logits. What quantisation costs is measured beside it, for the gate to judge. The certificate is written also where
a check fails, then as certificate.failed.json too: Snakemake deletes the outputs of a job that failed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from scripts.lib.cli import StageParser, UserError, load_params, run, say
from scripts.lib.files import manifest, write_json
from scripts.lib.options.export import CertifyOptions
from scripts.lib.process import keep_memory
from scripts.lib.records import read_records
from scripts.model.proof.adapter import check_effect
from scripts.model.proof.check import Check, attempt, failed
from scripts.model.proof.logits import check_parity, forget, measure_quants
from scripts.model.proof.text import check_text
from scripts.model.proof.vision import check_projector, check_sight, places_of
from scripts.model.proof.weights import (
    check_adapter,
    check_base,
    check_inventory,
    check_merged,
    check_quant,
    check_values,
)


def parser() -> argparse.ArgumentParser:
    """The stage's arguments."""
    stage = StageParser(__doc__)
    stage.add_argument("--base", type=Path, required=True, help="folder of the base model")
    stage.add_argument("--adapter", type=Path, required=True, help="folder of the adapter")
    stage.add_argument("--merged", type=Path, required=True, help="folder of the merged model")
    stage.add_argument("--f16", type=Path, required=True, help="its GGUF file of 16-bit floats")
    stage.add_argument(
        "--quant", nargs="+", action="extend", default=[], metavar="TYPE=FILE", help="its quantised GGUF files"
    )
    stage.add_argument("--mmproj", type=Path, help="the projector of a model that sees")
    stage.add_argument("--heldout", type=Path, required=True, help="records on which logits are compared")
    stage.add_argument("--texts", type=Path, required=True, help="records on which token ids and prompts are compared")
    stage.add_argument("--out", type=Path, required=True, help="certificate.json")
    return stage


def main(args: argparse.Namespace) -> None:
    """Writes the certificate, then stops where an integrity check failed.

    Raises:
        UserError: names the first failed check, its value and limit, and what to do.
    """
    issue(args, certify, args.f16)


def issue(args: argparse.Namespace, prove: Callable[..., list[Check]], file: Path) -> None:
    """Runs ``prove(args, quants, options)`` and writes its certificate of ``file`` and the quants.

    Raises:
        UserError: as `conclude`.
    """
    keep_memory()
    options = CertifyOptions.parse(load_params(args.params))
    quants = named_files(args.quant)
    try:
        checks = prove(args, quants, options)
    finally:
        forget()
    conclude(args.out, checks, [file, *quants.values()], options)


def conclude(out: Path, checks: Sequence[Check], files: Sequence[Path], options: CertifyOptions) -> None:
    """Writes the certificate and says what was measured; one that failed is kept beside it under another name.

    Raises:
        UserError: the first integrity check that failed.
    """
    found = certificate(checks, files, options)
    write_json(out, found)
    kept = out.with_suffix(".failed.json")
    kept.unlink(missing_ok=True)
    missed = [check for check in checks if check.kind == "integrity" and not check.passed]
    if missed:
        write_json(kept, found)
    for check in missed[1:]:
        say(f"{out}: {check.sentence()}")
    if missed:
        raise UserError(f"{kept}: {missed[0].sentence()}")
    for check in checks:
        if check.kind == "quality":
            say(f"{check.name}: {check.value:.4g} {check.detail}")
    say(f"{out}: {sum(check.kind == 'integrity' for check in checks)} integrity checks passed")


def named_files(given: Sequence[str]) -> dict[str, Path]:
    """``["Q8_0=a.gguf"]`` as ``{"Q8_0": Path("a.gguf")}``.

    Raises:
        UserError: one is not of this form, or a type stands twice.
    """
    files: dict[str, Path] = {}
    for text in given:
        name, sign, path = text.partition("=")
        if not (name and sign and path):
            raise UserError(f"--quant {text}: write it as TYPE=FILE, such as Q8_0=model-Q8_0.gguf.")
        if name in files:
            raise UserError(f"--quant {text}: {name} is given twice; name each type once.")
        files[name] = Path(path)
    return files


def certify(args: argparse.Namespace, quants: dict[str, Path], options: CertifyOptions) -> list[Check]:
    """All checks, in the order of the road. What a failed check would make pointless is failed without being run.

    Raises:
        UserError: the records cannot be read.
    """
    heldout, texts = read_records(args.heldout), read_records(args.texts)
    checks = attempt("base", check_base, args.base)
    checks += attempt("adapter", check_adapter, args.adapter)
    checks += attempt("merged", check_merged, args.base, args.adapter, args.merged)
    folder = args.heldout.parent
    checks += attempt("logits:merged", check_effect, args.base, args.adapter, args.merged, heldout, options, folder)
    f16_checks = attempt("inventory:f16", check_inventory, args.merged, args.f16)
    f16_checks += attempt("values:f16", check_values, args.merged, args.f16)
    checks += f16_checks
    if not passed(f16_checks[:1]):
        return checks + [
            failed(name, "not run, because the f16 file is not in order", "mend that first")
            for name in ("tokenizer", "logits:f16", *(f"inventory:{quant}" for quant in quants))
        ]
    checks += attempt("tokenizer", check_text, args.merged, args.f16, texts, options.tokenizer_texts)
    if args.mmproj:
        return checks + certify_sight(args, quants, heldout, options)
    checks += attempt("logits:f16", check_parity, args.merged, args.f16, heldout, options)
    return checks + certify_quants(args, quants, heldout, options)


def certify_sight(
    args: argparse.Namespace, quants: dict[str, Path], heldout: list[Any], options: CertifyOptions
) -> list[Check]:
    """What else is asked of a model that sees: its projector, and logits after pictures, of the quants too."""
    checks, sound = sound_quants(quants, args.f16)
    checks += attempt("inventory:mmproj", check_projector, args.merged, args.mmproj)
    places = attempt("places", places_of, args.merged, heldout, args.heldout.parent, options)
    if any(isinstance(place, Check) for place in places):
        return checks + places
    return checks + attempt("logits:pictures", check_sight, args.merged, args.f16, args.mmproj, sound, places, options)


def sound_quants(quants: dict[str, Path], f16: Path) -> tuple[list[Check], dict[str, Path]]:
    """The checks of every quant's tensors, and the quants whose tensors are in order."""
    checks, sound = [], {}
    for name, path in quants.items():
        found = check_quant(name, path, f16)
        checks += found
        if passed(found[:1]):
            sound[name] = path
    return checks, sound


def certify_quants(
    args: argparse.Namespace, quants: dict[str, Path], heldout: list[Any], options: CertifyOptions
) -> list[Check]:
    """The checks of every quant; only those whose tensors are in order are loaded and measured."""
    checks, sound = sound_quants(quants, args.f16)
    return checks + attempt("quality", measure_quants, args.merged, args.f16, sound, heldout, options)


def passed(checks: Sequence[Check]) -> bool:
    """Whether none of the checks failed."""
    return all(check.passed is not False for check in checks)


def certificate(checks: Sequence[Check], files: Sequence[Path], options: CertifyOptions) -> dict[str, Any]:
    """The certificate: the verdict, what was checked, and the very files it is about."""
    there = [path for path in files if path.is_file()]
    return {
        "passed": passed([check for check in checks if check.kind == "integrity"]),
        "checks": [check.to_json() for check in checks],
        "files": [row for path in there for row in manifest(path.parent, [path.name])],
        "options": options.model_dump(),
    }


if __name__ == "__main__":
    run(parser, main)
