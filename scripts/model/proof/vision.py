"""Models that see: the projector holds the whole vision tower, and the GGUF pair sees what the merged model sees.

llama.cpp gives no full logits beside pictures, so that some answer tokens are compared, spread over each record: ln p
of every token after the same pictures and the same text. Rows are centred to mean 0 and compared as in
`scripts.model.proof.logits`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from scripts.lib.chat import Rendered, answer_spans, render
from scripts.lib.cli import UserError
from scripts.lib.files import read_json
from scripts.lib.options.export import CertifyOptions
from scripts.lib.records import Record
from scripts.model.gguf_file import GgufFile
from scripts.model.llama import Server
from scripts.model.proof.check import Check, below, evenly, faults
from scripts.model.proof.logits import NMSE_ADVICE, Tally, centred, merged_float32, tokenizer_of
from scripts.model.proof.weights import TOWER
from scripts.model.tensors import Tensor, read_float, read_model
from scripts.model.vision import Eyes, for_llama, pictures_of

POSITIONS = 6  # answer tokens of a record that are compared
ROOM = 8  # tokens of slack in the context
# The parts that llama.cpp's table of names leaves to its converter; {} is a deepstack layer's place in the tower.
MERGERS = {
    "merger.norm": "v.post_ln",
    "merger.ln_q": "v.post_ln",
    "merger.linear_fc1": "mm.0",
    "merger.linear_fc2": "mm.2",
    "merger.mlp.0": "mm.0",
    "merger.mlp.2": "mm.2",
}


@dataclass(frozen=True)
class Place:
    """One answer token of a record with pictures.

    Attributes:
        text: the record rendered for transformers, placeholders repeated.
        at: the token's index.
        before: the text before it as llama.cpp takes it, one placeholder a picture.
    """

    text: Rendered
    pictures: tuple[Path, ...]
    at: int
    before: str


def check_projector(merged: Path, mmproj: Path) -> list[Check]:
    """Whether every tensor of the vision tower stands in the projector with its own values, and nothing besides."""
    file, config = GgufFile(mmproj), read_json(merged / "config.json")
    tower = {name: tensor for name, tensor in read_model(merged).items() if TOWER in name}
    expected, wrong = {}, []
    for name, tensor in tower.items():
        there = projector_names(name, file, config)
        missing = [one for one in there if one not in file.tensors]
        wrong += [f"{one} ({name}) is missing" for one in missing]
        expected[name] = (tensor, [one for one in there if one not in missing])
    named = {one for _, there in expected.values() for one in there}
    wrong += [f"{name} is nobody's" for name in sorted(file.tensors.keys() - named)]
    checks = [faults("inventory:mmproj", wrong, f"all {len(tower)} tensors of the vision tower, none besides")]
    unlike = [name for name, (tensor, there) in expected.items() if there and not same_values(tensor, there, file)]
    told = [f"{name} has other values in the projector" for name in unlike]
    return [*checks, faults("values:mmproj", told, f"the values of {len(tower)} tensors are the merged model's")]


def projector_names(name: str, file: GgufFile, config: dict[str, Any]) -> list[str]:
    """llama.cpp's names of a tensor of the tower: several where it cuts one into parts."""
    own = name[name.index(TOWER) + len(TOWER) :]
    stem, _, suffix = own.rpartition(".")
    if stem in MERGERS:
        return [f"{MERGERS[stem]}.{suffix}"]
    if stem.startswith("deepstack_merger_list."):
        _, number, part = stem.split(".", 2)
        layer = config["vision_config"]["deepstack_visual_indexes"][int(number)]
        return [f"v.deepstack.{layer}.{part.replace('linear_', '')}.{suffix}"]
    if own == "pos_embed.weight":
        return ["v.position_embd.weight"]
    if own == "patch_embed.proj.weight":  # one kernel over two frames is cut into two over one
        return ["v.patch_embd.weight", "v.patch_embd.weight.1"]
    return block_names(own, stem, suffix, file)


def block_names(own: str, stem: str, suffix: str, file: GgufFile) -> list[str]:
    """The names of a part of a layer, by llama.cpp's own table."""
    from gguf import MODEL_ARCH, get_tensor_name_map

    table = get_tensor_name_map(MODEL_ARCH.MMPROJ, 128)
    found = table.get_name(f"{TOWER}{own}", try_suffixes=(".weight", ".bias"))
    if found is None:
        return [own]  # reported as missing
    if found not in file.tensors and ".attn_qkv." in found:
        return [found.replace("attn_qkv", part) for part in ("attn_q", "attn_k", "attn_v")]
    return [found]


def same_values(tensor: Tensor, names: Sequence[str], file: GgufFile) -> bool:
    """Whether tensors of a GGUF together hold a tensor's values, in whatever order, all finite."""
    parts = [np.concatenate(list(file.tensors[name].values())) for name in names]
    narrow = any(file.tensors[name].type == "F16" for name in names)
    ours, theirs = read_float(tensor).reshape(-1), np.concatenate(parts)
    with np.errstate(over="ignore"):
        ours = ours.astype(np.float16).astype(np.float32) if narrow else ours
    return bool(np.isfinite(theirs).all()) and np.array_equal(np.sort(ours), np.sort(theirs))


def places_of(merged: Path, records: list[Record], folder: Path, options: CertifyOptions) -> list[Place]:
    """Answer tokens to compare, spread over records that show pictures; each where the text before it is whole tokens.

    Raises:
        UserError: no record shows a picture, or none fits into ``certify.max_tokens``.
    """
    tokenizer, eyes = tokenizer_of(merged), Eyes(merged)
    seeing = [record for record in records if record.images]
    if not seeing:
        raise UserError("no held-out record shows a picture; curate some, or choose a base that only reads")
    places = []
    for record in evenly(seeing, options.logit_records):
        pictures = tuple(pictures_of(record, folder))
        text = render(tokenizer, record, [eyes.features(picture) for picture in pictures])
        places += [Place(text, pictures, at, before) for at, before in answer_places(tokenizer, record, text)]
    if not places:
        raise UserError("no answer token can be compared; raise certify.logit_records")
    return places


def answer_places(tokenizer: Any, record: Record, text: Rendered) -> list[tuple[int, str]]:
    """Answer tokens of a record, spread evenly, and the unexpanded text before each.

    Left out are tokens before which the text, cut there, would be read as other tokens.
    """
    plain, spans = answer_spans(tokenizer, record)
    whole = tokenizer(plain, add_special_tokens=False, return_offsets_mapping=True)
    ids, offsets = whole["input_ids"], whole["offset_mapping"]
    shift = len(text.ids) - len(ids)  # all pictures stand before the answers
    found = [at for at, (start, _) in enumerate(offsets) if any(low <= start < high for low, high in spans)]
    clean = [
        at for at in found if tokenizer(plain[: offsets[at][0]], add_special_tokens=False)["input_ids"] == ids[:at]
    ]
    return [(at + shift, plain[: offsets[at][0]]) for at in evenly(clean, POSITIONS)]


def check_sight(
    merged: Path,
    f16: Path,
    mmproj: Path,
    quants: dict[str, Path],
    places: list[Place],
    options: CertifyOptions,
) -> list[Check]:
    """Logits after pictures: the f16 pair against the merged model, then what each quant costs."""
    reference = list(seen_by_transformers(merged, places))
    told = seen_by_llama(merged, f16, mmproj, places)
    error = sum(float(np.square(centred(one) - other).sum()) for one, other in zip(told, reference, strict=True))
    energy = sum(float(np.square(row).sum()) for row in reference)
    count = f"{len(places)} answer tokens after pictures, full vocabulary, transformers in float32 against llama.cpp"
    nmse = error / energy if energy else math.nan
    checks = [below("logits:pictures", nmse, options.max_nmse_pictures, count, NMSE_ADVICE)]
    for name, path in {"f16": f16, **quants}.items():
        tally = Tally()
        rows = told if name == "f16" else seen_by_llama(merged, path, mmproj, places)
        for place, row, own in zip(places, rows, told, strict=True):
            tally.add(row, own, place.text.ids[place.at])
        checks += tally.checks(name)
    return checks


def seen_by_transformers(merged: Path, places: list[Place]) -> Iterator[np.ndarray]:
    """Centred logits before each place, by the merged model in float32."""
    import torch

    model, eyes = merged_float32(merged), Eyes(merged)
    for place in tqdm(places, desc="pictures", unit="token"):
        ids = torch.tensor([place.text.ids[: place.at]])
        with torch.inference_mode():
            output = model(input_ids=ids, logits_to_keep=1, **eyes.input_of(ids, place.pictures))
        yield centred(output.logits[0, -1].numpy())


def seen_by_llama(merged: Path, model: Path, mmproj: Path, places: list[Place]) -> list[np.ndarray]:
    """ln p of every token at each place, by a GGUF with its projector."""
    context = max(len(place.text.ids) for place in places) + ROOM
    eyes = Eyes(merged)
    with Server(model, slots=1, context=context, exact=True, mmproj=mmproj) as server:
        return [
            server.next_token(for_llama(place.before, place.pictures, eyes, server.marker))
            for place in tqdm(places, desc=model.name, unit="token")
        ]
