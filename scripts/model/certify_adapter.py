"""Certifies an adapter GGUF and its base: values, tokens, and logits against transformers.

The stage writes the certificate, then stops with one sentence where an integrity check failed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from scripts.lib.cli import StageParser, run
from scripts.lib.options.export import CertifyOptions
from scripts.lib.records import read_records
from scripts.model.certify import add_arguments, issue, passed, sound_quants
from scripts.model.proof.adapter_gguf import check_pairs, measure_adapter
from scripts.model.proof.check import Check, attempt, failed
from scripts.model.proof.text import check_text
from scripts.model.proof.weights import check_adapter, check_base, check_inventory, check_values


def parser() -> argparse.ArgumentParser:
    """The stage's arguments."""
    stage = StageParser(__doc__)
    add_arguments(stage)
    stage.add_argument("--gguf", type=Path, required=True, help="the adapter's GGUF file")
    return stage


def main(args: argparse.Namespace) -> None:
    """Writes the certificate.

    Raises:
        UserError: names the first failed check, its value and limit, and what to do.
    """
    issue(args, certify, args.gguf)


def certify(args: argparse.Namespace, quants: dict[str, Path], options: CertifyOptions) -> list[Check]:
    """All checks; logits are compared only where all others passed.

    Raises:
        UserError: the records cannot be read.
    """
    records = read_records(args.heldout)
    checks = attempt("base", check_base, args.base)
    checks += attempt("adapter", check_adapter, args.adapter)
    checks += attempt("pairs", check_pairs, args.base, args.adapter, args.gguf, args.f16)
    checks += attempt("inventory:f16", check_inventory, args.base, args.f16)
    checks += attempt("values:f16", check_values, args.base, args.f16)
    quant_checks, sound = sound_quants(quants, args.f16)
    checks += quant_checks
    if passed(checks):
        checks += attempt("tokenizer", check_text, args.base, args.f16, records, options.tokenizer_texts)
    if not passed(checks):
        return [*checks, failed("logits:adapter", "not run, because the files are not in order", "mend that first")]
    models = (args.base, args.adapter, args.gguf, args.f16, sound)
    return checks + attempt("logits:adapter", measure_adapter, *models, records, options)


if __name__ == "__main__":
    run(parser, main)
