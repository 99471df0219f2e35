"""Batches that share a beginning: the same losses and gradients as padded rows, for less work."""

import pytest
import torch
from tiny_models import save_tiny

from scripts.lib.options.train import TrainOptions
from scripts.model import engine
from scripts.model.beginnings import ShareBeginnings, one_row, saves, shared_length
from scripts.model.dataset import IGNORED, PadRight
from scripts.model.trainer import answer_logits, shares_beginnings

BEGINNING = list(range(5, 65))
ROWS = [
    {"input_ids": [*BEGINNING, 70, 71, *answer], "labels": [IGNORED] * (len(BEGINNING) + 2) + answer}
    for answer in ([80, 81], [82], [83, 84, 85, 86], [87, 88, 89])
]


@pytest.fixture(scope="module", params=["llama", "gpt2", "qwen2"])
def model(request, tmp_path_factory):
    torch.set_num_threads(1)
    torch.manual_seed(1)
    base = save_tiny(request.param, tmp_path_factory.mktemp("base") / request.param, dtype="float32")
    model = engine.load_for_training(base, TrainOptions(precision="float32"), "cpu", "float32")
    for name, weight in model.named_parameters():  # a fresh adapter adds nothing
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    return model


def loss_and_gradients(model, batch):
    labels = batch["labels"][:, 1:]
    logits = answer_logits(model, batch, labels != IGNORED)
    loss = torch.nn.functional.cross_entropy(logits, labels[labels != IGNORED], reduction="sum")
    model.zero_grad()
    loss.backward()
    return loss, {name: one.grad.clone() for name, one in model.named_parameters() if one.grad is not None}


def test_same_loss_and_gradients(model):
    pad = PadRight(0)
    assert shares_beginnings(model)
    packed = ShareBeginnings(pad)(ROWS)
    assert packed["input_ids"].shape == (1, 61 + 3 + 2 + 5 + 4)
    one, ours = loss_and_gradients(model, packed)
    other, theirs = loss_and_gradients(model, pad(ROWS))
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    assert ours.keys() == theirs.keys()
    assert any(gradient.abs().max() > 1e-3 for gradient in ours.values())
    for name, gradient in ours.items():
        torch.testing.assert_close(gradient, theirs[name], rtol=1e-3, atol=1e-5)


def test_examples_do_not_see_each_other(model):
    """Another example beside it leaves an answer's logits as they were."""
    others = [{**ROWS[1], "input_ids": [*BEGINNING, 90, 91, 92]}, *ROWS[2:]]
    logits = []
    for rows in (ROWS, [ROWS[0], *others]):
        batch = one_row(rows, len(BEGINNING))
        wanted = batch["labels"][:, 1:] != IGNORED
        logits.append(answer_logits(model, batch, wanted)[:2].detach())
    torch.testing.assert_close(*logits, rtol=1e-5, atol=1e-6)


def test_the_beginning_ends_before_the_first_token_that_is_foretold():
    alike = [{"input_ids": [1, 2, 3, 4, 5], "labels": [IGNORED, IGNORED, IGNORED, 4, 5]} for _ in range(3)]
    assert shared_length(alike) == 2
    assert shared_length(ROWS) == len(BEGINNING) + 1  # 70 is common too; 71 foretells the answers


def test_unlike_or_single_examples_are_padded():
    rows = [{"input_ids": [first, *range(9)], "labels": [IGNORED] * 5 + [1] * 5} for first in range(3)]
    assert not saves(rows, shared_length(rows))
    assert set(ShareBeginnings(PadRight(0))(rows)) == {"input_ids", "attention_mask", "labels"}
    assert not saves(ROWS[:1], shared_length(ROWS[:1]))
