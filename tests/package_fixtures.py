"""A finished run in miniature: a tiny GGUF written without the converter, and the JSON files that stages leave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFWriter

from scripts.dnd.deploy import parser
from scripts.lib.records import Record, text_message, write_records
from tests.tiny_models import make_tokenizer

HIDDEN, HEADS, LAYERS, FEED, WINDOW = 32, 4, 2, 64, 512
NASTY = '<script>alert("x")</script>|<img src=x onerror=alert(1)>'


def write_gguf(path: Path, seed: int = 0, window: int = WINDOW) -> Path:
    """A random llama of two layers with the tests' small vocabulary and ChatML template."""
    tokenizer = make_tokenizer("tiny")
    model = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    tokens = [token for token, _ in sorted(tokenizer.get_vocab().items(), key=lambda row: row[1])]
    writer = GGUFWriter(path, "llama")
    writer.add_context_length(window)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(FEED)
    writer.add_block_count(LAYERS)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token.startswith("<|") else 1 for token in tokens])
    writer.add_token_merges([" ".join(pair) if isinstance(pair, list) else pair for pair in model["merges"]])
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_add_bos_token(False)
    writer.add_chat_template(tokenizer.chat_template)
    for name, tensor in random_tensors(len(tokens), seed).items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def random_tensors(vocab: int, seed: int) -> dict[str, np.ndarray]:
    """Weights by llama.cpp's names, float32 [out, in]."""
    generator = np.random.default_rng(seed)
    square, norm = (HIDDEN, HIDDEN), np.ones(HIDDEN, np.float32)
    shapes = {"attn_q": square, "attn_k": square, "attn_v": square, "attn_output": square}
    shapes |= {"ffn_gate": (FEED, HIDDEN), "ffn_up": (FEED, HIDDEN), "ffn_down": (HIDDEN, FEED)}
    tensors = {name: generator.normal(0, 0.6, (vocab, HIDDEN)) for name in ("token_embd.weight", "output.weight")}
    for layer in range(LAYERS):
        for name, shape in shapes.items():
            tensors[f"blk.{layer}.{name}.weight"] = generator.normal(0, 0.4, shape)
        tensors[f"blk.{layer}.attn_norm.weight"] = tensors[f"blk.{layer}.ffn_norm.weight"] = norm
    tensors["output_norm.weight"] = norm
    return {name: np.asarray(tensor, np.float32) for name, tensor in tensors.items()}


def score(value: float | None, n: int = 120, spread: float = 0.06) -> dict[str, Any]:
    """A score with an interval."""
    low, high = (None, None) if value is None else (max(0.0, value - spread), min(1.0, value + spread))
    return {"value": value, "low": low, "high": high, "n": n}


def scores(f1: float, false_calls: float, perplexity: float | None) -> dict[str, Any]:
    """A row of dnd scores."""
    names = ("call_precision", "call_recall", "call_f1", "tool_precision", "tool_recall", "tool_f1")
    row = {
        name: score(min(1.0, f1 + shift)) for name, shift in zip(names, (0.05, -0.05, 0, 0.2, 0.1, 0.15), strict=True)
    }
    row |= {"well_formed": score(min(1.0, f1 + 0.5), 90), "false_call_rate": score(false_calls, 60)}
    row |= {"stranger_rate": score(0.02, 71)}
    if perplexity is not None:
        row["perplexity"] = {"value": perplexity, "low": None, "high": None, "n": 5321}
    return row


def metrics() -> dict[str, Any]:
    """metrics.json."""
    variants = {
        "base": scores(0.02, 0.61, 31.4), "tuned": scores(0.46, 0.12, 9.31), "f16": scores(0.46, 0.12, 9.32),
        "Q4_K_M": scores(0.39, 0.15, 9.93), "Q8_0": scores(0.45, 0.12, 9.34),
    }  # fmt: skip
    baselines = {
        "none": scores(0.0, 0.0, None),
        "majority": scores(0.06, 1.0, None),
        "nearest": scores(0.21, 0.3, None),
    }
    higher = {name: name not in ("perplexity", "false_call_rate", "stranger_rate") for name in variants["base"]}
    speed = {
        name: {"tokens_per_second": 100.0 + 20 * at, "peak_memory_bytes": 10**9} for at, name in enumerate(variants)
    }
    return {
        "system": "dnd", "run": "dm", "scope": "learning", "cases": 120, "groups": 21, "confidence": 0.95,
        "variants": variants, "baselines": baselines, "higher_is_better": higher, "speed": speed,
    }  # fmt: skip


def gate(**changes: Any) -> dict[str, Any]:
    """gate.json."""
    checks = [{"name": "beats base", "passed": True, "detail": "call_f1 0.39 against 0.02"}]
    why = "Q4_K_M is the smallest within 0.02 of the best."
    return {"passed": True, "on_miss": "mark", "variant": "Q4_K_M", "why": why, "checks": checks} | changes


CERTIFICATE = {
    "passed": True,
    "checks": [
        {"name": "tensor inventory", "passed": True, "value": 20, "limit": 20, "detail": "every tensor accounted for"},
        {"name": "logits_nmse", "passed": True, "value": 3.2e-7, "limit": 1e-5, "detail": "merged against f16"},
    ],
}
STATS = {
    "files_in": 84,
    "records_out": 80,
    "reasons": {"duplicate": 3, "no answer " + NASTY: 1},
    "splits": {"train": {"records": 52, "tokens": 31000}, "test": {"records": 21, "tokens": 12800}},
}
TRAINING = {
    "base": {"name": "tiny", "source": "recipe:tiny", "revision": None},
    "settings": {"epochs": 3.0, "learning_rate": 1e-3, "lora": {"r": 16, "alpha": 16, "target_modules": "all-linear"}},
    "steps": 120,
    "train_loss": 1.21,
    "eval_loss": 1.62,
    "seconds": 321.5,
    "trainable_parameters": 4884480,
}


def write_json(path: Path, value: Any) -> Path:
    """Plain JSON, folders made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def make_run(root: Path, **gate_changes: Any) -> Path:
    """Writes what the stages before deploy leave under ``root`` and returns it."""
    write_gguf(gguf_folder(root) / "model-Q4_K_M.gguf")
    write_gguf(gguf_folder(root) / "model-Q8_0.gguf", seed=1)
    (gguf_folder(root) / "model-f16.gguf").write_bytes(b"an intermediate")
    write_json(gguf_folder(root) / "certificate.json", CERTIFICATE)
    write_json(root / "reports/dnd/dm/metrics.json", metrics())
    write_json(root / "reports/dnd/dm/gate.json", gate(**gate_changes))
    write_json(root / "models/dnd/dm/training/training_metadata.json", TRAINING)
    write_json(root / "data/curated/dnd/dm/stats.json", STATS)
    curve = [{"step": at, "epoch": at / 40, "loss": 3.2 / (1 + at / 30)} for at in range(1, 121)]
    curve += [{"step": at, "eval_loss": 3.3 / (1 + at / 36)} for at in range(20, 121, 20)]
    (root / "models/dnd/dm/training/loss.jsonl").write_text("".join(json.dumps(row) + "\n" for row in curve))
    base = root / "models/base/tiny"
    make_tokenizer("tiny").save_pretrained(base)
    files = [{"name": "model.safetensors", "bytes": 123, "sha256": "0" * 64}]
    card = {"name": "tiny", "source": "recipe:tiny", "revision": None, "licence": "cc0-1.0", "context_length": WINDOW}
    write_json(base / "base.json", card | {"architecture": "llama", "parameters": 9, "files": files})
    write_records(root / "data/curated/dnd/dm/test.jsonl", [record(number) for number in range(7)])
    return root


def gguf_folder(root: Path) -> Path:
    """Where a run's GGUF files lie."""
    folder = root / "models/dnd/dm/gguf"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def record(number: int) -> Record:
    """A short test record."""
    messages = [
        text_message("system", "Rules."),
        text_message("user", f"Pip hides behind barrel {number}. {NASTY}"),
        text_message("assistant", "Softly. [check: stealth, Pip]"),
    ]
    expect = [{"calls": [["check", ["stealth", "Pip"]]]}]
    return Record(id=f"combat/{number}", group=f"combat/{number}", messages=messages, expect=expect)


def deploy_arguments(root: Path, out: Path, **params: Any) -> Any:
    """The deploy stage's arguments for a run that `make_run` wrote."""
    named = {
        "gate": "reports/dnd/dm/gate.json", "metrics": "reports/dnd/dm/metrics.json", "gguf": "models/dnd/dm/gguf",
        "certificate": "models/dnd/dm/gguf/certificate.json", "base-json": "models/base/tiny/base.json",
        "training": "models/dnd/dm/training/training_metadata.json", "records": "data/curated/dnd/dm/test.jsonl",
        "stats": "data/curated/dnd/dm/stats.json",
    }  # fmt: skip
    words = [word for name, path in named.items() for word in (f"--{name}", str(root / path))]
    options = json.dumps({"smoke_prompts": 2, "smoke_tokens": 8} | params)
    words += ["--out", str(out), "--params", options, "--system-prompt", "You are the dungeon master."]
    return parser().parse_args(words)
