"""Records as the trainer takes them: token ids and labels, with an audit of the tokens that carry loss."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.lib.chat import render, supervised_share
from scripts.lib.cli import UserError, say
from scripts.lib.records import Record, read_records
from scripts.lib.sampling import spread
from scripts.model.vision import Eyes, pictures_of, size_of

IGNORED = -100  # the label that torch's cross entropy leaves out


@dataclass
class Audit:
    """How many records and tokens there were, which carry loss, and which records were set aside and why."""

    records: int = 0
    tokens: int = 0
    supervised_tokens: int = 0
    shares: dict[str, float] = field(default_factory=dict)
    set_aside: list[dict[str, Any]] = field(default_factory=list)
    pictures: Counter[str] = field(default_factory=Counter)

    def summary(self) -> dict[str, Any]:
        """Plain JSON for training_metadata.json; shares are supervised tokens over all tokens of a record.

        For a vision-language model also how many images of each size there were, as in
        ``"pictures": {"256x192": 800}``.
        """
        shares = sorted(self.shares.values())
        return {
            "records": self.records,
            "used": len(shares),
            "tokens": self.tokens,
            "supervised_tokens": self.supervised_tokens,
            "supervised_share": {"lowest": shares[0], "median": shares[len(shares) // 2], "highest": shares[-1]},
            "set_aside": self.set_aside,
        } | ({"pictures": dict(self.pictures.most_common())} if self.pictures else {})


def load_examples(
    path: Path, tokenizer: Any, max_tokens: int, at_most: int | None = None, eyes: Eyes | None = None
) -> tuple[Any, Audit]:
    """A `datasets.Dataset` of ``input_ids``, ``labels`` (`IGNORED` where no loss) and ``length``, and its audit.

    With ``at_most`` so many records are drawn evenly over the file. For a vision-language model each row also has
    ``pictures``, the paths of its images, and its tokens include their placeholders.

    A record longer than ``max_tokens``, or one without a supervised token, is set aside with its reason.

    Raises:
        UserError: no record is left, or one has images and the model takes none.
    """
    from datasets import Dataset

    audit = Audit()
    rows = []
    for record in spread(read_records(path), at_most):
        audit.records += 1
        pictures, features = look(record, path, eyes)
        rendered = render(tokenizer, record, features)
        reason = None if any(rendered.mask) else "no assistant token to learn from"
        if len(rendered.ids) > max_tokens:
            reason = f"longer than train.max_tokens = {max_tokens}"
        if reason:
            audit.set_aside.append({"id": record.id, "reason": reason, "tokens": len(rendered.ids)})
            continue
        labels = [token if keep else IGNORED for token, keep in zip(rendered.ids, rendered.mask, strict=True)]
        row = {"input_ids": rendered.ids, "labels": labels, "length": len(labels)}
        audit.pictures.update(f"{wide}x{high}" for wide, high in map(size_of, pictures))
        rows.append(row | ({"pictures": [str(picture) for picture in pictures]} if eyes else {}))
        audit.tokens += len(labels)
        audit.supervised_tokens += sum(rendered.mask)
        audit.shares[record.id] = round(supervised_share(rendered), 4)
    if not rows:
        reasons = sorted({row["reason"] for row in audit.set_aside})
        raise UserError(f"{path}: none of {audit.records} records can be trained on ({'; '.join(reasons)}).")
    for row in audit.set_aside:
        say(f"{path}: {row['id']} set aside: {row['reason']} ({row['tokens']} tokens)")
    return Dataset.from_list(rows), audit


def look(record: Record, path: Path, eyes: Eyes | None) -> tuple[list[Path], list[int]]:
    """The paths of a record's images, and how many placeholders each takes.

    Raises:
        UserError: it has images, and the model takes none.
    """
    if not record.images:
        return [], []
    if eyes is None:
        raise UserError(f"{path}: {record.id} shows a picture, and this base takes none; choose one that sees.")
    pictures = pictures_of(record, path.parent)
    return pictures, [eyes.features(picture) for picture in pictures]


@dataclass
class PadRight:
    """Collates examples into ``input_ids``, ``attention_mask`` and ``labels``, each [batch, longest], padded right.

    With ``eyes`` also what `Eyes.input_of` gives for the examples' images.
    """

    pad_id: int
    eyes: Eyes | None = None

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        import torch

        def padded(values: list[torch.Tensor], fill: int) -> torch.Tensor:
            return torch.nn.utils.rnn.pad_sequence(values, batch_first=True, padding_value=fill)

        ids = [torch.tensor(row["input_ids"]) for row in rows]
        labels = [torch.tensor(row["labels"]) for row in rows]
        batch = {
            "input_ids": padded(ids, self.pad_id),
            "attention_mask": padded([torch.ones_like(row) for row in ids], 0),
            "labels": padded(labels, IGNORED),
        }
        shown = [Path(picture) for row in rows for picture in row.get("pictures") or []]
        return batch | (self.eyes.input_of(batch["input_ids"], shown) if self.eyes and shown else {})
