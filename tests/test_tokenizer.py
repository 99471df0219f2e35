"""Our reader of tokenizers and templates gives what transformers gives, and says what is missing."""

import pytest
from test_tool_prompt import KNOWING, RECORD
from tiny_models import save_tiny

from scripts.lib.chat import render
from scripts.lib.cli import UserError
from scripts.lib.records import Record, text_message
from scripts.lib.tokenizer import Tokenizer

TALK = Record(
    id="talk",
    group="talk",
    messages=[
        text_message("system", "Role: master.\n\n  World:\tnaïve <|im_end|> 🧀"),
        text_message("user", "Pip looks  around.\n\n"),
        text_message("assistant", "Softly. [check: stealth, Pip] 1234567"),
    ],
)


@pytest.mark.parametrize("arch", ["llama", "gpt2", "qwen2"])
@pytest.mark.parametrize("vocab", ["tiny", "smollm2"])
@pytest.mark.parametrize("record", [TALK, RECORD], ids=["talk", "tools"])
def test_same_text_ids_and_mask_as_transformers(arch, vocab, record, tmp_path):
    from transformers import AutoTokenizer

    folder = save_tiny(arch, tmp_path / "base", vocab=vocab)
    ours, theirs = Tokenizer(folder), AutoTokenizer.from_pretrained(folder)
    assert ours.chat_template == theirs.chat_template
    assert (ours.bos_token, ours.eos_token) == (theirs.bos_token, theirs.eos_token)
    assert render(ours, record) == render(theirs, record)
    ours = Tokenizer(folder)
    theirs.chat_template = KNOWING
    theirs.save_pretrained(folder)
    assert render(Tokenizer(folder), record) == render(theirs, record)


def test_special_tokens_reach_the_template(tmp_path):
    folder = save_tiny("llama", tmp_path / "base")
    (folder / "chat_template.jinja").write_text("{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}")
    text = Tokenizer(folder).apply_chat_template([{"role": "user", "content": "a"}])
    assert text == Tokenizer(folder).bos_token + "a"


def test_a_folder_without_a_tokenizer_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="no tokenizer here; build the base model first"):
        Tokenizer(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text("{}")
    (tmp_path / "tokenizer.json").write_text("{oops")
    with pytest.raises(UserError, match=r"tokenizer\.json: cannot be read"):
        Tokenizer(tmp_path)


def test_a_template_that_refuses_says_so(tmp_path):
    folder = save_tiny("llama", tmp_path / "base")
    (folder / "chat_template.jinja").write_text("{{ raise_exception('no system turn') }}")
    with pytest.raises(UserError, match="refuses this conversation"):
        Tokenizer(folder).apply_chat_template([{"role": "user", "content": "a"}])
    (folder / "chat_template.jinja").write_text("{% if %}")
    with pytest.raises(UserError, match="cannot be read"):
        Tokenizer(folder)
