"""The one record shape and its rendering: what is learnt is exactly what is generated."""

import json

import pytest
from tiny_models import save_tiny

from scripts.lib.chat import FALLBACK_TEMPLATE, encode, ensure_template, prompt_text, render, supervised_share
from scripts.lib.cli import UserError
from scripts.lib.records import Record, read_records, text_message, write_records


def conversation(*turns, **extra):
    messages = [text_message(role, text) for role, text in turns]
    return Record(id="one", group="one", messages=messages, **extra)


TALK = conversation(
    ("system", "You are the dungeon master."),
    ("user", "Pip hides."),
    ("assistant", "Softly now. [check: stealth, Pip]"),
    ("tool", "stealth: Pip rolls 1d20+5 = 14+5 = 19"),
    ("assistant", "Nobody sees you, naïve as they are."),
)


@pytest.fixture(scope="module", params=["own", "fallback"])
def tokenizer(request, tmp_path_factory):
    from transformers import AutoTokenizer

    arch = {"own": "llama", "fallback": "gpt2"}[request.param]
    loaded = AutoTokenizer.from_pretrained(save_tiny(arch, tmp_path_factory.mktemp(arch)))
    if request.param == "fallback":
        loaded.chat_template = None
        assert ensure_template(loaded)
        assert loaded.chat_template == FALLBACK_TEMPLATE
    assert not ensure_template(loaded)
    return loaded


def test_mask_covers_the_answers_and_their_end_of_turn_only(tokenizer):
    rendered = render(tokenizer, TALK)
    learnt = tokenizer.decode([i for i, keep in zip(rendered.ids, rendered.mask, strict=True) if keep])
    for index in TALK.answers:
        assert TALK.messages[index].text in learnt
    assert "Pip hides" not in learnt
    assert "rolls" not in learnt
    rest = learnt.replace(TALK.messages[2].text, "").replace(TALK.messages[4].text, "")
    assert rest in ("<|im_end|><|im_end|>", tokenizer.eos_token * 2)
    assert 0 < supervised_share(rendered) < 1


def test_training_sees_the_tokens_that_serving_sends(tokenizer):
    """The prompt of every answer, tokenised by itself, is the beginning of the training example, token by token."""
    rendered = render(tokenizer, TALK)
    for index in TALK.answers:
        prompt = encode(tokenizer, prompt_text(tokenizer, TALK, index))
        assert rendered.ids[: len(prompt)] == prompt
        assert rendered.mask[len(prompt) - 1 : len(prompt) + 1] == [0, 1]


def test_template_that_rewrites_the_past_is_refused(tokenizer):
    old = tokenizer.chat_template
    tokenizer.chat_template = "{{ messages | length }}" + old
    try:
        with pytest.raises(UserError, match="one: the chat template does not render message 2 as a continuation"):
            render(tokenizer, TALK)
    finally:
        tokenizer.chat_template = old


def test_round_trip_keeps_the_record(tmp_path):
    record = conversation(("user", "a"), ("assistant", "b"), expect=[{"calls": []}], meta={"file": "x.md"})
    path = tmp_path / "r.jsonl"
    assert write_records(path, [record]) == 1
    assert read_records(path) == [record]
    assert json.loads(path.read_text())["messages"][0] == {"role": "user", "content": [{"type": "text", "text": "a"}]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"expect": [{}, {}]}, "2 entries for 1 assistant"),
        ({"images": ["a.png"]}, "0 image parts for 1 paths"),
        ({"colour": 1}, "Extra inputs"),
        ({"messages": []}, "at least 1 item"),
    ],
)
def test_bad_record_is_named_with_its_line(tmp_path, change, message):
    good = conversation(("user", "a"), ("assistant", "b")).to_json()
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps(good) + "\n" + json.dumps({**good, "id": "two", **change}) + "\n")
    with pytest.raises(UserError, match=f"line 2.*{message}"):
        read_records(path)


def test_an_id_twice_and_an_empty_file_are_named(tmp_path):
    row = json.dumps(conversation(("user", "a")).to_json())
    path = tmp_path / "r.jsonl"
    path.write_text(f"{row}\n{row}\n")
    with pytest.raises(UserError, match="line 2: id 'one' stands already in line 1"):
        read_records(path)
    path.write_text("\n")
    with pytest.raises(UserError, match="no records"):
        read_records(path)
