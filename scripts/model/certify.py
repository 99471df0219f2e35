"""Certifies that nothing was lost between the base and the quantised files.

Every integrity check has a limit that no configuration switches off: weights, the adapter's effect, tokenizer, prompt
and logits. The cost of quantisation is measured too, for the gate to judge. After a failed check the certificate is
also written as certificate.failed.json, because Snakemake deletes the outputs of a failed job.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from scripts.lib.cli import StageParser, UserError, load_params, run, say
from scripts.lib.files import manifest, named_files, write_json
from scripts.lib.options.export import CertifyOptions
from scripts.lib.process import keep_memory
from scripts.lib.records import read_records
from scripts.model.proof import weights
from scripts.model.proof.adapter import check_effect
from scripts.model.proof.check import Check, attempt, failed
from scripts.model.proof.logits import check_parity, forget, measure_quants
from scripts.model.proof.text import check_text
from scripts.model.proof.vision import check_projector, check_sight, places_of


def parser() -> argparse.ArgumentParser:
    """The stage's arguments."""
    stage = StageParser(__doc__)
    add_arguments(stage)
    stage.add_argument("--merged", type=Path, required=True, help="folder of the merged model")
    stage.add_argument("--mmproj", type=Path, help="the projector of a vision-language model")
    stage.add_argument("--texts", type=Path, required=True, help="records on which token ids and prompts are compared")
    return stage


def add_arguments(stage: argparse.ArgumentParser) -> None:
    """The arguments of every certificate of GGUF files."""
    stage.add_argument("--base", type=Path, required=True, help="folder of the 16-bit base model")
    stage.add_argument("--adapter", type=Path, required=True, help="folder of the adapter")
    stage.add_argument("--f16", type=Path, required=True, help="the GGUF file of 16-bit floats")
    stage.add_argument("--quant", nargs="+", action="extend", default=[], metavar="NAME=FILE", help="its quants")
    stage.add_argument("--heldout", type=Path, required=True, help="records on which logits are compared")
    stage.add_argument("--out", type=Path, required=True, help="the certificate, a JSON file")


def main(args: argparse.Namespace) -> None:
    """Writes the certificate, then stops where an integrity check failed.

    Raises:
        UserError: names the first failed check, its value and limit, and what to do.
    """
    issue(args, certify, args.f16)


def certify(args: argparse.Namespace, quants: dict[str, Path], options: CertifyOptions) -> list[Check]:
    """All checks in the pipeline's order. Checks that depend on a failed one are failed without being run.

    Raises:
        UserError: the records cannot be read.
    """
    heldout, texts, folder = read_records(args.heldout), read_records(args.texts), args.heldout.parent
    checks = attempt("base", weights.check_base, args.base)
    checks += attempt("adapter", weights.check_adapter, args.adapter)
    checks += attempt("merged", weights.check_merged, args.base, args.adapter, args.merged)
    checks += attempt("logits:merged", check_effect, args.base, args.adapter, args.merged, heldout, options, folder)
    inventory = attempt("inventory:f16", weights.check_inventory, args.merged, args.f16)
    checks += inventory + attempt("values:f16", weights.check_values, args.merged, args.f16)
    if not passed(inventory):
        return checks + [
            failed(name, "not run, because the f16 file is not in order", "mend that first")
            for name in ("tokenizer", "logits:f16", *(f"inventory:{quant}" for quant in quants))
        ]
    checks += attempt("tokenizer", check_text, args.merged, args.f16, texts, options.tokenizer_texts)
    if not args.mmproj:
        checks += attempt("logits:f16", check_parity, args.merged, args.f16, heldout, options)
    quant_checks, sound = sound_quants(quants, args.f16)
    checks += quant_checks
    if not args.mmproj:
        return checks + attempt("quality", measure_quants, args.merged, args.f16, sound, heldout, options)
    checks += attempt("inventory:mmproj", check_projector, args.merged, args.mmproj)
    places = attempt("places", places_of, args.merged, heldout, folder, options)
    if any(isinstance(place, Check) for place in places):
        return checks + places
    return checks + attempt("logits:pictures", check_sight, args.merged, args.f16, args.mmproj, sound, places, options)


def sound_quants(quants: dict[str, Path], f16: Path) -> tuple[list[Check], dict[str, Path]]:
    """The checks of every quant's tensors, and the quants that passed the inventory: only these are loaded."""
    checks, sound = [], {}
    for name, path in quants.items():
        inventory, *others = weights.check_quant(name, path, f16)
        checks += [inventory, *others]
        if passed([inventory]):
            sound[name] = path
    return checks, sound


def passed(checks: Sequence[Check]) -> bool:
    """Whether none of the checks failed."""
    return all(check.passed is not False for check in checks)


def issue(
    args: argparse.Namespace,
    prove: Callable[[argparse.Namespace, dict[str, Path], CertifyOptions], list[Check]],
    file: Path,
) -> None:
    """Runs ``prove`` and writes the certificate of ``file`` and the quants: verdict, checks, and the files' SHA-256.

    Raises:
        UserError: the first integrity check that failed; the certificate is kept under another name.
    """
    keep_memory()
    options = CertifyOptions.parse(load_params(args.params))
    quants = named_files("--quant", args.quant, "Q8_0=model-Q8_0.gguf")
    try:
        checks = prove(args, quants, options)
    finally:
        forget()
    integrity = [check for check in checks if check.kind == "integrity"]
    present = [path for path in (file, *quants.values()) if path.is_file()]
    certificate = {
        "passed": passed(integrity),
        "checks": [check.to_json() for check in checks],
        "files": [entry for path in present for entry in manifest(path.parent, [path.name])],
        "options": options.model_dump(),
    }
    write_json(args.out, certificate)
    kept = args.out.with_suffix(".failed.json")
    kept.unlink(missing_ok=True)
    missed = [check for check in integrity if not check.passed]
    if missed:
        write_json(kept, certificate)
        for check in missed[1:]:
            say(f"{args.out}: {check.sentence()}")
        raise UserError(f"{kept}: {missed[0].sentence()}")
    for check in checks:
        if check.kind == "quality":
            say(f"{check.name}: {check.value:.4g} {check.detail}")
    say(f"{args.out}: {len(integrity)} integrity checks passed")


if __name__ == "__main__":
    run(parser, main)
