"""Predictions: the same answers as plain generation, one reading a conversation, nothing cut in silence."""

import json
import math

import pytest
import torch
from tiny_models import save_tiny
from transformers import AutoModelForCausalLM

from scripts.lib.chat import encode, prompt_text, render
from scripts.lib.cli import UserError
from scripts.lib.records import Record, text_message, write_records
from scripts.lib.sampling import spread
from scripts.model import engine, predict
from scripts.model.cases import by_record, draw_cases, waves, window_of
from scripts.model.generation import Transformer, predict_all, stop_tokens

torch.set_num_threads(2)


def conversation(name: str, turns: int, words: int = 4) -> Record:
    messages = [text_message("system", "The goblin waits.")]
    for turn in range(turns):
        messages.append(text_message("user", f"Aria {'walks ' * words}{turn}"))
        messages.append(text_message("assistant", f"So be it, {name}. [roll: 1d20+{turn}]"))
    return Record(id=name, group=name, messages=messages, expect=[{"calls": []}] * turns)


RECORDS = [conversation("b", 1), conversation("a", 3), conversation("c", 2, words=9)]


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def base(request, tmp_path_factory):
    """A model whose answers depend on all it has read: as initialised, a random one says the same to everything."""
    folder = save_tiny(request.param, tmp_path_factory.mktemp("base") / request.param)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() == 2:
                weight.mul_(12)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def _float32(monkeypatch):
    """In float32 the order of sums hardly ever decides between two tokens."""
    monkeypatch.setattr(engine, "computes_bfloat16", lambda device: False)


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return save_tiny("llama", tmp_path_factory.mktemp("base") / "llama")


def cases_of(folder, *, room=8, max_records=None):
    tokenizer = predict.load_tokenizer(folder)
    return draw_cases(RECORDS, tokenizer, window=window_of(folder), max_records=max_records, max_new_tokens=room)


def run_predict(folder, out, *extra, **options):
    write_records(out.parent / "test.jsonl", RECORDS)
    command = ["--variant", out.stem, "--model", str(folder), "--tokenizer", str(folder), "--out", str(out)]
    command += ["--records", str(out.parent / "test.jsonl"), "--params", json.dumps(options)]
    predict.main(predict.parser().parse_args([*command, *map(str, extra)]))
    return [json.loads(line) for line in out.read_text().splitlines()]


def test_whole_conversations_are_drawn_sorted_and_at_equal_distances(llama):
    assert [(case.record.id, case.answer) for case in cases_of(llama)] == [
        ("a", 2), ("a", 4), ("a", 6), ("b", 2), ("c", 2), ("c", 4)
    ]  # fmt: skip
    assert [(case.record.id, case.answer) for case in cases_of(llama, max_records=2)] == [
        ("a", 2), ("a", 4), ("a", 6), ("b", 2)
    ]  # fmt: skip
    assert spread([1, 2, 3], 9) == [1, 2, 3]


def test_waves_keep_a_conversation_in_order_and_new_ones_last(llama):
    rows = [[(case.record.id, case.answer) for case in wave] for wave in waves(cases_of(llama), 2)]
    assert rows == [[("a", 2), ("c", 2)], [("a", 4), ("c", 4)], [("a", 6), ("b", 2)]]


def test_shared_reading_answers_as_plain_generation_does(base):
    tokenizer = predict.load_tokenizer(base)
    model = Transformer(base, None, tokenizer, "cpu")
    cases = cases_of(base)
    texts = {record.id: render(tokenizer, record) for record in RECORDS}
    got, _ = predict_all(model, by_record(cases), texts, set(texts), 4, lambda _: None)
    alone = [model.answer([case])[0] for case in cases]
    assert got == alone
    assert len({answer.text for answer in got}) >= 5


def test_perplexity_is_that_of_the_answer_tokens(base):
    tokenizer = predict.load_tokenizer(base)
    model = Transformer(base, None, tokenizer, "cpu")
    texts = {record.id: render(tokenizer, record) for record in RECORDS}
    _, surprise = predict_all(model, by_record(cases_of(base)), texts, set(texts), 4, lambda _: None)
    plain = AutoModelForCausalLM.from_pretrained(base, dtype=getattr(torch, model.precision))
    losses = []
    for text in texts.values():
        logits = plain(torch.tensor([text.ids])).logits[0].float().log_softmax(-1)
        losses += [-logits[at - 1, text.ids[at]].item() for at, on in enumerate(text.mask) if on]
    assert surprise.tokens == len(losses)
    assert surprise.perplexity == pytest.approx(math.exp(sum(losses) / len(losses)), rel=1e-3)


def test_predicting_twice_writes_the_same_bytes(llama, tmp_path):
    first = run_predict(llama, tmp_path / "base.jsonl", max_new_tokens=6, device="cpu")
    before = (tmp_path / "base.jsonl").read_bytes()
    run_predict(llama, tmp_path / "base.jsonl", max_new_tokens=6, device="cpu")
    assert (tmp_path / "base.jsonl").read_bytes() == before
    assert set(first[0]) == {"id", "answer", "group", "prompt_tokens", "completion", "tokens", "finish"}
    tokenizer = predict.load_tokenizer(llama)
    assert first[1]["prompt_tokens"] == len(encode(tokenizer, prompt_text(tokenizer, RECORDS[1], 4)))
    stats = json.loads((tmp_path / "base.stats.json").read_text())
    assert (stats["variant"], stats["cases"], stats["overflow"]) == ("base", 6, 0)
    assert stats["tokens"] == sum(row["tokens"] for row in first) > 0
    assert stats["perplexity"]["value"] > 1 and stats["peak_memory_bytes"] > 10**7


def test_an_adapter_changes_the_answers(llama, tmp_path):
    from peft import LoraConfig, get_peft_model

    model = AutoModelForCausalLM.from_pretrained(llama)
    tuned = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=4, target_modules="all-linear"))
    torch.manual_seed(1)
    for name, weight in tuned.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=1.0)
    tuned.save_pretrained(tmp_path / "adapter")
    plain = run_predict(llama, tmp_path / "base.jsonl", max_new_tokens=6, device="cpu")
    adapted = run_predict(
        llama, tmp_path / "tuned.jsonl", "--adapter", tmp_path / "adapter", max_new_tokens=6, device="cpu"
    )
    assert [row["completion"] for row in plain] != [row["completion"] for row in adapted]
    with pytest.raises(UserError, match=r"adapter_config\.json"):
        run_predict(llama, tmp_path / "tuned.jsonl", "--adapter", tmp_path, device="cpu")


def test_a_prompt_beyond_the_context_is_counted_not_cut(llama, tmp_path, monkeypatch):
    monkeypatch.setattr(predict, "window_of", lambda _: 110)
    rows = run_predict(llama, tmp_path / "base.jsonl", max_new_tokens=200, device="cpu")
    long = [row for row in rows if row["prompt_tokens"] >= 110]
    assert long and len(long) < len(rows)
    assert all((row["finish"], row["completion"], row["tokens"]) == ("overflow", "", 0) for row in long)
    assert all(row["prompt_tokens"] + row["tokens"] <= 110 for row in rows if row not in long)
    assert json.loads((tmp_path / "base.stats.json").read_text())["overflow"] == len(long)


def test_no_prompt_that_fits_is_one_sentence(llama, tmp_path, monkeypatch):
    monkeypatch.setattr(predict, "window_of", lambda _: 5)
    with pytest.raises(UserError, match="no prompt fits into 5 tokens"):
        run_predict(llama, tmp_path / "base.jsonl", device="cpu")


def test_the_end_of_turn_ends_an_answer_and_stays_out_of_it(llama):
    tokenizer = predict.load_tokenizer(llama)
    model = Transformer(llama, None, tokenizer, "cpu")
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert end in model.stops
    said = encode(tokenizer, "The goblin")
    answer = model._prediction([*said, end, *said])
    assert (answer.text, answer.tokens, answer.finish) == ("The goblin", len(said) + 1, "stop")
    assert model._prediction(said).finish == "length"


def test_a_suggested_repetition_penalty_changes_nothing(llama):
    from transformers import GenerationConfig

    tokenizer = predict.load_tokenizer(llama)
    plain = Transformer(llama, None, tokenizer, "cpu")
    path = llama / "generation_config.json"
    kept = path.read_text()
    GenerationConfig(repetition_penalty=5.0, eos_token_id=[2], do_sample=True, temperature=2.0).save_pretrained(llama)
    try:
        pushed = Transformer(llama, None, tokenizer, "cpu")
    finally:
        path.write_text(kept)
    case = cases_of(llama, room=16)[2]
    assert plain.answer([case]) == pushed.answer([case])


def test_stop_tokens_take_what_the_base_says(llama):
    class Model:
        generation_config = type("Config", (), {"eos_token_id": [7, 5]})

    tokenizer = predict.load_tokenizer(llama)
    assert {5, 7, tokenizer.eos_token_id} <= set(stop_tokens(Model, tokenizer))


def test_a_gguf_answers_through_the_server_the_same_each_time(exports, tmp_path):
    run = exports["llama"]
    tokens = ("--tokenizer", run.base)
    merged = run_predict(run.merged, tmp_path / "merged.jsonl", *tokens, max_new_tokens=6, device="cpu")
    rows = run_predict(run.f16, tmp_path / "f16.jsonl", *tokens, max_new_tokens=6, slots=2)
    before = (tmp_path / "f16.jsonl").read_bytes()
    run_predict(run.f16, tmp_path / "f16.jsonl", *tokens, max_new_tokens=6, slots=2)
    assert (tmp_path / "f16.jsonl").read_bytes() == before
    names = ("id", "answer", "group", "prompt_tokens")
    assert [[row[name] for name in names] for row in rows] == [[row[name] for name in names] for row in merged]
    assert all(0 < row["tokens"] <= 6 and row["finish"] in ("stop", "length") for row in rows)
    ours, theirs = (json.loads((tmp_path / f"{name}.stats.json").read_text()) for name in ("f16", "merged"))
    assert ours["perplexity"]["tokens"] == theirs["perplexity"]["tokens"] > 0
    assert ours["perplexity"]["value"] == pytest.approx(theirs["perplexity"]["value"], rel=1e-3)


def test_a_gguf_takes_no_adapter(llama, tmp_path):
    with pytest.raises(UserError, match="merged in"):
        run_predict(tmp_path / "model.gguf", tmp_path / "q.jsonl", "--tokenizer", llama, "--adapter", tmp_path)
