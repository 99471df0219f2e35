"""Greedy answers and perplexity by transformers.

The answers of one conversation share its past: the conversation is read once, which gives the perplexity of its
answers, and every answer continues from a slice of the key-value cache of that reading. What all conversations begin
with (a system prompt, tool definitions) is read once for all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.lib import devices
from scripts.lib.chat import Rendered
from scripts.lib.cli import UserError
from scripts.model.cases import Case, Prediction, shared_beginning
from scripts.model.vision import eyes_of, model_class

# A chat model may end its turn by any of these; llama.cpp stops at them as well.
END_TOKENS = ("<|endoftext|>", "<|im_end|>", "<|eot_id|>", "<|end_of_text|>", "<|end|>", "<end_of_turn>", "</s>")

WORTH_SHARING = 32  # tokens


@dataclass
class Surprise:
    """Sum of -ln p over answer tokens."""

    total: float = 0.0
    tokens: int = 0

    def add(self, total: float, tokens: int) -> None:
        """Adds a conversation's."""
        self.total += total
        self.tokens += tokens

    @property
    def perplexity(self) -> float | None:
        """exp of the mean; None without tokens, or where it is beyond every float."""
        mean = self.total / self.tokens if self.tokens else math.inf
        return math.exp(mean) if mean < 700 else None


class Transformer:
    """A causal language model in transformers, with or without an adapter.

    Args:
        folder: the base model.
        adapter: a PEFT adapter on it.
        tokenizer: the base's, with a pad token.
        device: auto, cpu, cuda or mps.

    Raises:
        UserError: no model, no adapter, or no such device.
    """

    def __init__(self, folder: Path, adapter: Path | None, tokenizer: Any, device: str = "auto") -> None:
        import torch
        from transformers import GenerationConfig
        from transformers.utils import logging

        from scripts.model.decoding import attention_of

        logging.disable_progress_bar()  # of loading, which takes a second
        _must_hold(folder, "config.json")
        self.tokenizer, self.device = tokenizer, devices.pick_device(device)
        self.precision = "bfloat16" if devices.computes_bfloat16(self.device) else "float32"
        self.eyes = eyes_of(folder)
        model = model_class(folder).from_pretrained(
            folder,
            dtype=getattr(torch, self.precision),
            local_files_only=True,
            attn_implementation=attention_of(folder),
        )
        self.stops = stop_tokens(model, tokenizer)
        model.to(self.device)
        if adapter is not None:
            model = _with_adapter(model, adapter)
        self.model = model.eval()
        self._beginning: tuple[list[int], Any] = ([], None)
        # A fresh one: what a base suggests for sampling (a repetition penalty) would change greedy answers too.
        plain = GenerationConfig(do_sample=False, eos_token_id=self.stops, pad_token_id=tokenizer.pad_token_id)
        self.model.generation_config = plain
        if adapter is not None:
            self.model.base_model.model.generation_config = plain

    def read(
        self, ids: Sequence[int], mask: Sequence[int] | None = None, pictures: Sequence[Path] = ()
    ) -> tuple[Any, float, int]:
        """Reads a conversation.

        Args:
            ids: its tokens, [n].
            mask: 1 where a token's surprise counts, [n]; none given: nowhere.
            pictures: what it shows.

        Returns:
            the key-value cache, the sum of -ln p over counted tokens, and their number.
        """
        import torch

        counted = [place for place, on in enumerate(mask or []) if on and place > 0]
        shared, cache = self._past([] if pictures else ids, counted)
        # The logits of one position before each counted token, and of no other: they are wide.
        keep = torch.tensor([place - 1 - shared for place in counted] or [0], device=self.device)
        tokens = torch.tensor([list(ids)[shared:]], device=self.device)
        with torch.inference_mode():
            output = self.model(
                input_ids=tokens,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=keep,
                **self._shown(tokens, pictures),
            )
            if not counted:
                return output.past_key_values, 0.0, 0
            rows = output.logits[0].float()
            wanted = tokens[0, [place - shared for place in counted]]
            surprise = rows.logsumexp(dim=-1) - rows.gather(1, wanted[:, None])[:, 0]
        return output.past_key_values, float(surprise.double().sum()), len(counted)

    def begin_with(self, texts: Sequence[Sequence[int]]) -> None:
        """Reads what all texts begin with, if that is long enough to be worth it, so that `read` need not."""
        shared = shared_beginning(texts)
        if len(texts) > 1 and shared >= WORTH_SHARING:
            cache, _, _ = self.read(texts[0][:shared])
            if can_slice(cache):
                self._beginning = (list(texts[0][:shared]), cache)

    def _past(self, ids: Sequence[int], counted: Sequence[int]) -> tuple[int, Any]:
        """How many of the first tokens need not be read, and a cache that holds them."""
        from transformers import DynamicCache

        beginning, cache = self._beginning
        size = len(beginning)
        if size and size < min([len(ids), *counted]) and list(ids[:size]) == beginning:
            return size, DynamicCache([_sides(layer) for layer in cache.layers])
        return 0, DynamicCache(config=self.model.config)

    def answer(self, cases: Sequence[Case], pasts: Sequence[Any] | None = None) -> list[Prediction]:
        """Greedy answers to prompts with equal room, side by side.

        Args:
            cases: the prompts; padded on the left to the longest.
            pasts: for each the key-value cache of a text that begins with the prompt; none given: prompts are read.
        """
        import torch
        from transformers import DynamicCache

        from scripts.model.decoding import with_room

        longest = max(len(case.ids) for case in cases)
        pictures = [picture for case in cases for picture in case.pictures]
        pad = self.tokenizer.pad_token_id
        rows = [[pad] * (longest - len(case.ids)) + list(case.ids) for case in cases]
        attended = [[0] * (longest - len(case.ids)) + [1] * len(case.ids) for case in cases]
        held = stacked(pasts, cases, longest - 1) if pasts and longest > 1 else DynamicCache(config=self.model.config)
        with torch.inference_mode():
            output = self.model.generate(
                input_ids=torch.tensor(rows, device=self.device),
                attention_mask=torch.tensor(attended, device=self.device),
                max_new_tokens=cases[0].room,
                past_key_values=with_room(held, cases[0].room + 1),
                **self._shown(torch.tensor(rows), pictures),
            )
        return [self._prediction(row) for row in output[:, longest:].tolist()]

    def _shown(self, ids: Any, pictures: Sequence[Path]) -> dict[str, Any]:
        """What the model takes beside its ids where a prompt shows pictures."""
        if self.eyes is None or not pictures:
            return {}
        given = self.eyes.input_of(ids.cpu(), pictures)
        return {name: value.to(self.device) for name, value in given.items()}

    def _prediction(self, ids: list[int]) -> Prediction:
        end = next((place for place, token in enumerate(ids) if token in self.stops), None)
        said = ids if end is None else ids[:end]
        text = self.tokenizer.decode(said, skip_special_tokens=True)
        return Prediction(text, len(said) + (end is not None), "length" if end is None else "stop")


def stacked(pasts: Sequence[Any], cases: Sequence[Case], length: int) -> Any:
    """A cache of [cases, heads, length, width] a layer: prompts but for their last token, padded on the left."""
    import torch
    from torch.nn.functional import pad
    from transformers import DynamicCache

    layers = []
    for rows in zip(*(past.layers for past in pasts), strict=True):
        cut = [
            tuple(pad(side[:, :, : len(case.ids) - 1], (0, 0, length - len(case.ids) + 1, 0)) for side in _sides(row))
            for row, case in zip(rows, cases, strict=True)
        ]
        layers.append(tuple(torch.cat(side) for side in zip(*cut, strict=True)))
    return DynamicCache(layers)


def _sides(layer: Any) -> tuple[Any, Any]:
    return layer.keys, layer.values


def can_slice(past: Any) -> bool:
    """Whether a cache holds every position of every layer (a sliding window does not)."""
    from transformers.cache_utils import DynamicLayer

    return all(type(layer) is DynamicLayer for layer in past.layers)


def predict_all(
    model: Transformer,
    groups: Sequence[Sequence[Case]],
    texts: dict[str, Rendered],
    measured: set[str],
    batch: int,
    done: Callable[[int], Any],
) -> tuple[list[Prediction], Surprise]:
    """Answers to all cases in their order, and the surprise of the measured conversations.

    Args:
        model: who answers.
        groups: cases with room, those of one conversation together.
        texts: each conversation rendered, by record id.
        measured: ids of the conversations that are measured (those within the model's context).
        batch: answers side by side.
        done: told of every number of answers that came.
    """
    answers: dict[tuple[str, int], Prediction] = {}
    surprise = Surprise()
    pending: list[tuple[Case, Any]] = []

    def flush(least: int) -> None:
        """Answers batches of equal room while there are ``least`` of them."""
        while len(pending) >= least:
            room = pending[0][0].room
            chosen = [row for row in pending if row[0].room == room][:batch]
            cases, pasts = [row[0] for row in chosen], [row[1] for row in chosen]
            said = model.answer(cases, None if any(past is None for past in pasts) else pasts)
            answers.update({(case.record.id, case.answer): one for case, one in zip(cases, said, strict=True)})
            taken = {id(row) for row in chosen}
            pending[:] = [row for row in pending if id(row) not in taken]
            done(len(chosen))

    model.begin_with([cases[0].ids for cases in groups if not cases[0].pictures])
    for cases in groups:
        name = cases[0].record.id
        past, total, tokens = _read_group(model, cases, texts[name], name in measured)
        surprise.add(total, tokens)
        pending += [(case, past) for case in cases]
        flush(batch)
    flush(1)
    return [answers[case.record.id, case.answer] for cases in groups for case in cases], surprise


def _read_group(model: Transformer, cases: Sequence[Case], text: Rendered, measured: bool) -> tuple[Any, float, int]:
    """Reads a conversation as far as it is needed; the cache is None where it cannot serve every prompt."""
    longest = max(cases, key=lambda case: len(case.ids)).ids
    pictures = max(cases, key=lambda case: len(case.pictures)).pictures
    if pictures:
        # Positions of a picture's features are not their places, so that no answer continues from a slice.
        total, tokens = model.read(text.ids, text.mask, pictures)[1:] if measured else (0.0, 0)
        return None, total, tokens
    ids = text.ids if measured else list(longest)
    past, total, tokens = model.read(ids, text.mask if measured else None)
    serves = can_slice(past) and all(list(case.ids) == ids[: len(case.ids)] for case in cases)
    return (past if serves else None), total, tokens


def stop_tokens(model: Any, tokenizer: Any) -> list[int]:
    """Ids after which a model has ended its turn, sorted."""
    suggested = model.generation_config.eos_token_id
    known = set(tokenizer.all_special_tokens) | set(getattr(tokenizer, "added_tokens_encoder", {}))
    found = {tokenizer.convert_tokens_to_ids(token) for token in END_TOKENS if token in known}
    found |= {suggested} if isinstance(suggested, int) else set(suggested or [])
    return sorted(found | {tokenizer.eos_token_id} - {None})


def _with_adapter(model: Any, adapter: Path) -> Any:
    from peft import PeftModel

    _must_hold(adapter, "adapter_config.json")
    return PeftModel.from_pretrained(model, adapter)


def _must_hold(folder: Path, name: str) -> None:
    if not (folder / name).is_file():
        raise UserError(f"{folder}: holds no {name}; build it first, or check the path.")
