"""Greedy answers and perplexity by transformers.

The answers of one conversation share its prefix: the conversation is run once, which gives the perplexity of its
answers, and every answer continues from a slice of that run's key-value cache. The prefix that all conversations share
(a system prompt, tool definitions) is run once for all of them.

Example: a conversation of tokens [1, 2, 3, 4, 5, 6] whose answers start at 2 and 5 is run once. The prompts [1, 2] and
[1, 2, 3, 4, 5] continue from the first 1 and 4 positions of its cache; the last prompt token is run again.
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
        """Adds the sum of one conversation."""
        self.total += total
        self.tokens += tokens

    @property
    def perplexity(self) -> float | None:
        """exp of the mean; None without tokens, or where it exceeds the range of float64."""
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
        UserError: the model, the adapter or the device does not exist.
    """

    def __init__(self, folder: Path, adapter: Path | None, tokenizer: Any, device: str = "auto") -> None:
        import torch
        from transformers import GenerationConfig
        from transformers.utils import logging

        from scripts.model.decoding import attention_of

        logging.disable_progress_bar()  # of loading, which takes a second
        for path in (folder / "config.json", adapter and adapter / "adapter_config.json"):
            if path and not path.is_file():
                raise UserError(f"{path.parent}: holds no {path.name}; build it first, or check the path.")
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
        # A fresh one: a base's suggestions for sampling (a repetition penalty) would change greedy answers too.
        plain = GenerationConfig(do_sample=False, eos_token_id=self.stops, pad_token_id=tokenizer.pad_token_id)
        model.generation_config = plain
        if adapter is not None:
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, adapter)
            model.generation_config = plain
        self.model = model.eval()
        self._beginning: tuple[list[int], Any] = ([], None)

    def read(
        self, ids: Sequence[int], mask: Sequence[int] | None = None, pictures: Sequence[Path] = ()
    ) -> tuple[Any, float, int]:
        """Runs the model on a conversation.

        Args:
            ids: its tokens, [n].
            mask: 1 where a token's -ln p counts, [n]; default: nowhere.
            pictures: its images.

        Returns:
            the key-value cache, the sum of -ln p over counted tokens, and their number.
        """
        import torch
        from transformers import DynamicCache

        counted = [place for place, on in enumerate(mask or []) if on and place > 0]
        prefix, cache = self._beginning
        shared = len(prefix)
        if not pictures and 0 < shared < min([len(ids), *counted]) and list(ids[:shared]) == prefix:
            cache = DynamicCache([(layer.keys, layer.values) for layer in cache.layers])
        else:
            shared, cache = 0, DynamicCache(config=self.model.config)
        # The logits of one position before each counted token, and of no other position: a row is large.
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
        """Runs the prefix that all texts share, if it is long enough, so that `read` starts after it."""
        shared = shared_beginning(texts)
        if len(texts) > 1 and shared >= WORTH_SHARING:
            cache, _, _ = self.read(texts[0][:shared])
            if can_slice(cache):
                self._beginning = (list(texts[0][:shared]), cache)

    def answer(self, cases: Sequence[Case], pasts: Sequence[Any] | None = None) -> list[Prediction]:
        """Greedy answers to prompts with equal ``room``, in one batch.

        Args:
            cases: the prompts; padded on the left to the longest.
            pasts: for each the key-value cache of a text that begins with the prompt; default: prompts are run.
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
        """The model's input for the images of its ids; empty without images."""
        if self.eyes is None or not pictures:
            return {}
        return {name: value.to(self.device) for name, value in self.eyes.input_of(ids.cpu(), pictures).items()}

    def _prediction(self, ids: list[int]) -> Prediction:
        """The answer in generated token ids, up to the first stop token."""
        end = next((place for place, token in enumerate(ids) if token in self.stops), None)
        text = self.tokenizer.decode(ids[:end], skip_special_tokens=True)
        return Prediction(text, len(ids), "length") if end is None else Prediction(text, end + 1, "stop")


def stacked(pasts: Sequence[Any], cases: Sequence[Case], length: int) -> Any:
    """A cache of [cases, heads, length, width] a layer: prompts without their last token, padded on the left."""
    import torch
    from torch.nn.functional import pad
    from transformers import DynamicCache

    layers = []
    for rows in zip(*(past.layers for past in pasts), strict=True):
        padded = []
        for row, case in zip(rows, cases, strict=True):
            size = len(case.ids) - 1
            padded.append([pad(side[:, :, :size], (0, 0, length - size, 0)) for side in (row.keys, row.values)])
        layers.append(tuple(torch.cat(side) for side in zip(*padded, strict=True)))
    return DynamicCache(layers)


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
        model: the model.
        groups: cases with ``room`` above 0, those of one conversation together.
        texts: each conversation rendered, by record id.
        measured: ids of the conversations that are measured (those within the model's context).
        batch: answers in one batch.
        done: called with the number of new answers.
    """
    answers: dict[tuple[str, int], Prediction] = {}
    surprise = Surprise()
    pending: list[tuple[Case, Any]] = []

    def flush(least: int) -> None:
        """Answers batches of equal room while at least ``least`` cases are pending."""
        while len(pending) >= least:
            room = pending[0][0].room
            chosen = [row for row in pending if row[0].room == room][:batch]
            cases, pasts = [row[0] for row in chosen], [row[1] for row in chosen]
            predictions = model.answer(cases, None if any(past is None for past in pasts) else pasts)
            answers.update(zip([(case.record.id, case.answer) for case in cases], predictions, strict=True))
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
    """Runs a conversation as far as it is needed; the cache is None where not every prompt can continue from it."""
    pictures = max(cases, key=lambda case: len(case.pictures)).pictures
    if pictures:
        # The positions of an image's features are not their indices, so no answer continues from a slice.
        total, tokens = model.read(text.ids, text.mask, pictures)[1:] if measured else (0.0, 0)
        return None, total, tokens
    ids = text.ids if measured else list(max(cases, key=lambda case: len(case.ids)).ids)
    past, total, tokens = model.read(ids, text.mask if measured else None)
    serves = can_slice(past) and all(list(case.ids) == ids[: len(case.ids)] for case in cases)
    return (past if serves else None), total, tokens


def stop_tokens(model: Any, tokenizer: Any) -> list[int]:
    """Ids of the tokens that end a model's turn, sorted."""
    suggested = model.generation_config.eos_token_id
    known = set(tokenizer.all_special_tokens) | set(getattr(tokenizer, "added_tokens_encoder", {}))
    stops = {tokenizer.convert_tokens_to_ids(token) for token in END_TOKENS if token in known}
    stops |= {suggested} if isinstance(suggested, int) else set(suggested or [])
    return sorted(stops | {tokenizer.eos_token_id} - {None})
