"""Vision-language models: the projector holds the whole vision tower, and the GGUF pair predicts as the merged model.

llama.cpp gives no full logits after images. So some answer tokens are compared, spread over each record: ln p of every
token after the same images and the same text. Rows are centred to mean 0 and compared as in
`scripts.model.proof.logits`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from scripts.lib.chat import Rendered, answer_spans, render
from scripts.lib.cli import UserError
from scripts.lib.files import read_json
from scripts.lib.options.export import CertifyOptions
from scripts.lib.records import Record
from scripts.lib.sampling import spread
from scripts.model.gguf_file import GgufFile
from scripts.model.llama import Server
from scripts.model.proof import logits
from scripts.model.proof.check import Check, below, faults
from scripts.model.proof.weights import TOWER, values_fault
from scripts.model.tensors import read_model
from scripts.model.vision import Eyes, for_llama, pictures_of

POSITIONS = 6  # answer tokens of a record that are compared
SLACK = 8  # tokens of context that llama.cpp may need beyond the text
# Modules of the tower that are missing in llama.cpp's table of names.
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
    """One answer token of a record with images.

    Attributes:
        text: the record rendered for transformers, placeholders repeated.
        pictures: the image files.
        at: the token's index.
        before: the text before the token as llama.cpp takes it, one placeholder an image.
    """

    text: Rendered
    pictures: tuple[Path, ...]
    at: int
    before: str


def check_projector(merged: Path, mmproj: Path) -> list[Check]:
    """Whether the projector holds every tensor of the vision tower with its own values, and no other tensor."""
    file, config = GgufFile(mmproj), read_json(merged / "config.json")
    tower = {name: tensor for name, tensor in read_model(merged).items() if TOWER in name}
    missing, other_values, named = [], [], set()
    for name, tensor in tower.items():
        due = projector_names(name, file, config)
        present = [part for part in due if part in file.tensors]
        missing += [f"{part} ({name}) is missing" for part in due if part not in present]
        named.update(present)
        if present and values_fault(tensor, [file.tensors[part] for part in present]):
            other_values.append(f"{name} has other values in the projector")
    wrong = missing + [f"{name} is nobody's" for name in sorted(file.tensors.keys() - named)]
    return [
        faults("inventory:mmproj", wrong, f"all {len(tower)} tensors of the vision tower, none besides"),
        faults("values:mmproj", other_values, f"the values of {len(tower)} tensors are the merged model's"),
    ]


def projector_names(name: str, file: GgufFile, config: dict[str, Any]) -> list[str]:
    """llama.cpp's names of a tensor of the tower: several where llama.cpp splits the tensor."""
    from gguf import MODEL_ARCH, get_tensor_name_map

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
    if own == "patch_embed.proj.weight":  # one kernel over two frames becomes two kernels over one frame
        return ["v.patch_embd.weight", "v.patch_embd.weight.1"]
    table = get_tensor_name_map(MODEL_ARCH.MMPROJ, 128)
    known = table.get_name(f"{TOWER}{own}", try_suffixes=(".weight", ".bias")) or own
    if known not in file.tensors and ".attn_qkv." in known:
        return [known.replace("attn_qkv", part) for part in ("attn_q", "attn_k", "attn_v")]
    return [known]


def places_of(merged: Path, records: list[Record], folder: Path, options: CertifyOptions) -> list[Place]:
    """Answer tokens to compare, spread over the records with images; the text before each is whole tokens.

    Raises:
        UserError: no record has an image, or no answer token can be compared.
    """
    tokenizer, eyes = logits.tokenizer_of(merged), Eyes(merged)
    seeing = [record for record in records if record.images]
    if not seeing:
        raise UserError("no held-out record shows a picture; curate some, or choose a base that only reads")
    places = []
    for record in spread(seeing, options.logit_records):
        pictures = tuple(pictures_of(record, folder))
        text = render(tokenizer, record, [eyes.features(picture) for picture in pictures])
        places += [Place(text, pictures, at, before) for at, before in answer_places(tokenizer, record, text)]
    if not places:
        raise UserError("no answer token can be compared; raise certify.logit_records")
    return places


def answer_places(tokenizer: Any, record: Record, text: Rendered) -> list[tuple[int, str]]:
    """Answer tokens of a record, spread evenly, and the text before each with one placeholder an image.

    A token is left out where the text before it, tokenized alone, has other token ids.
    """
    plain, spans = answer_spans(tokenizer, record)
    whole = tokenizer(plain, add_special_tokens=False, return_offsets_mapping=True)
    ids, starts = whole["input_ids"], [start for start, _ in whole["offset_mapping"]]
    shift = len(text.ids) - len(ids)  # all images stand before the answers
    clean = [
        at
        for at, start in enumerate(starts)
        if any(low <= start < high for low, high in spans)
        and tokenizer(plain[:start], add_special_tokens=False)["input_ids"] == ids[:at]
    ]
    return [(at + shift, plain[: starts[at]]) for at in spread(clean, POSITIONS)]


def check_sight(
    merged: Path, f16: Path, mmproj: Path, quants: dict[str, Path], places: list[Place], options: CertifyOptions
) -> list[Check]:
    """Logits after images: the f16 pair against the merged model, then each quant against the f16 pair."""
    import torch

    model, eyes = logits.merged_float32(merged), Eyes(merged)
    reference = []
    for place in tqdm(places, desc="pictures", unit="token"):
        ids = torch.tensor([place.text.ids[: place.at]])
        with torch.inference_mode():
            output = model(input_ids=ids, logits_to_keep=1, **eyes.input_of(ids, place.pictures))
        reference.append(logits.centred(output.logits[0, -1].numpy()))
    predict = partial(log_probabilities, mmproj=mmproj, places=places, eyes=eyes)
    rows = predict(f16)
    error, energy = logits.squared_distance(rows, reference), logits.squared_norm(reference)
    count = f"{len(places)} answer tokens after pictures, full vocabulary, transformers in float32 against llama.cpp"
    nmse = error / energy if energy else math.nan
    parity = below("logits:pictures", nmse, options.max_nmse_pictures, count, logits.NMSE_ADVICE)
    return [parity, *logits.compare_quants(rows, quants, [place.text.ids[place.at] for place in places], predict)]


def log_probabilities(model: Path, mmproj: Path, places: list[Place], eyes: Eyes) -> list[np.ndarray]:
    """ln p [vocab] of every token at each place, by a GGUF with its projector."""
    context = max(len(place.text.ids) for place in places) + SLACK
    with Server(model, slots=1, context=context, exact=True, mmproj=mmproj) as server:
        return [
            server.next_token(for_llama(place.before, place.pictures, eyes, server.marker))
            for place in tqdm(places, desc=model.name, unit="token")
        ]
