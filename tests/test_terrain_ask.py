"""What a package's model is shown and may write when it rebuilds a tile."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from scripts.lib.cli import UserError
from scripts.model.llama import Server
from scripts.model.viewer import open_picture
from scripts.terrain.answer import AnswerError, Ground, from_text, to_text
from scripts.terrain.ask import picture_of
from scripts.terrain.grammar import grammar
from scripts.terrain.options import AnswerOptions

SMALL = AnswerOptions(cells=2, levels=64, textures=2, liquids=1, kinds=2, places=2, name_length=4)
TOKEN = re.compile(r'"((?:\\.|[^"\\])*)"|([a-z]+)|(\[[^]]*\]|\{[\d,]+\}|[()|?])|\s+')


def pattern(text: str) -> str:
    """A grammar without recursion as a regular expression."""
    rules = dict(line.split(" ::= ", 1) for line in text.splitlines())

    def written(name: str) -> str:
        def piece(match: re.Match[str]) -> str:
            literal, rule, sign = match.groups()
            if literal is not None:
                return re.escape(json.loads(f'"{literal}"'))
            return written(rule) if rule else sign or ""

        return f"(?:{TOKEN.sub(piece, rules[name])})"

    return written("root")


def ground(dice: np.random.Generator, options: AnswerOptions, full: bool) -> Ground:
    """One of the richest or poorest grounds that the form allows."""
    cells, names = options.cells, [f"n.{at:_>{options.name_length - 2}}" for at in range(16)]
    mask = dice.random((cells, cells)) < (0.5 if full else 0)
    places = sorted(map(tuple, dice.integers(0, cells, (options.places, 2)).tolist()))
    return Ground(
        low=int(dice.integers(-20_000, 0)) if full else 0,
        high=20_000 if full else 0,
        steps=dice.integers(0, options.levels, (cells, cells)),
        textures={name: int(dice.integers(0, 101)) for name in names[: options.textures]} if full else {},
        liquids=dict.fromkeys(names[: options.liquids], mask) if full else {},
        holes=mask,
        objects=dict.fromkeys(names[: options.kinds], (99_999, places)) if full else {},
    )


@pytest.mark.parametrize(
    "options", [SMALL, AnswerOptions(), AnswerOptions(levels=60, liquids=0, kinds=0), AnswerOptions(levels=10)]
)
def test_every_answer_of_the_form_is_in_the_grammar_and_no_other(options):
    form, dice = re.compile(pattern(grammar(options))), np.random.default_rng(0)
    for full in (True, False) * 20:
        assert form.fullmatch(to_text(ground(dice, options, full), options))
    text = to_text(ground(dice, SMALL, True), SMALL)
    small = re.compile(pattern(grammar(SMALL)))
    assert small.fullmatch(text)
    steps = re.search(r'"heights":\["(\d+)"', text)[1]
    for wrong in (steps[:-2], f"{steps}00", f"64{steps[2:]}", f"9{steps[1:]}"):
        assert not small.fullmatch(text.replace(steps, wrong, 1))
    assert not small.fullmatch(text[:-1])
    assert not small.fullmatch(text.replace('"textures":{', '"textures":{"more":1,', 1))


def test_a_random_model_under_the_grammar_is_read(exports):
    read = 0
    with Server(exports["qwen2"].quant("Q8_0"), slots=1, context=1024) as server:
        for seed in range(12):
            said = server.complete("x", SMALL.longest, grammar=grammar(SMALL), temperature=1.0, seed=seed)
            assert said.finish == "stop"
            try:
                from_text(said.text, SMALL)
                read += 1
            except AnswerError as error:  # the one thing that a grammar cannot hold
                assert "does not rise" in str(error)
    assert read > 2


def test_the_other_pictures_of_a_tile_are_found_beside_it_or_in_its_export(tmp_path):
    minimap = tmp_path / "images/Made_1_2.png"
    assert picture_of(minimap, "minimap") == minimap
    with pytest.raises(UserError, match=r"images/Made_1_2_shadow.png: not there; .* put it beside"):
        picture_of(minimap, "shadow")
    for place in ("stitched", "images"):  # what lies beside comes first
        (tmp_path / place).mkdir()
        found = tmp_path / place / "Made_1_2_alpha_l3.png"
        found.touch()
        assert picture_of(minimap, "alpha3") == found
    with pytest.raises(UserError, match="cannot be read as a picture"):
        open_picture(found)
