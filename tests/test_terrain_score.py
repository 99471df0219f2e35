"""Scores of terrain by hand, failures that never pay, and pictures of the ground."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from terrain_export import write_export

from scripts.lib.cli import UserError
from scripts.lib.files import read_json, write_json, write_jsonl
from scripts.lib.metrics import Bootstrap
from scripts.lib.records import read_records
from scripts.lib.scoring import Scores
from scripts.terrain import curate, score, sheet
from scripts.terrain import rebuild as rebuild_command
from scripts.terrain.answer import rebuild, to_text
from scripts.terrain.baselines import answers
from scripts.terrain.grounds import Said, cases_of, said_by, thinned
from scripts.terrain.joined import join
from scripts.terrain.mesh import obj_text
from scripts.terrain.options import AnswerOptions
from scripts.terrain.pictures import read_heights, write_picture
from scripts.terrain.question import CONFIG
from scripts.terrain.shade import error_picture, tile_shade
from scripts.terrain.system import SYSTEM

OPTIONS = AnswerOptions()
VARIANTS = ("base", "tuned", "f16", "Q8_0", "shuffled")


@pytest.fixture(scope="module")
def curated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("terrain")
    export = write_export(folder / "made", *((x, y) for x in range(6) for y in range(4)))
    given = ["--input", str(export), "--output", str(folder / "out"), "--params", json.dumps({"block": 1, "gap": 0})]
    curate.main(curate.parser().parse_args(given))
    return folder / "out"


def cases(curated, side="test"):
    return cases_of(read_records(curated / f"{side}.jsonl"), curated, OPTIONS)


def predict(curated: Path, folder: Path, texts: dict[str, str]) -> list[str]:
    """Writes a predictions file a variant, the same completion for every case; "" copies the true answer."""
    for name, text in texts.items():
        rows = [
            {
                "id": case.record.id,
                "answer": case.answer,
                "completion": text or case.record.messages[-1].text,
                "finish": "stop",
            }
            for case in cases(curated)
        ]
        write_jsonl(folder / f"{name}.jsonl", rows)
    return [str(folder / f"{name}.jsonl") for name in texts]


def scored(curated: Path, folder: Path, texts: dict[str, str]):
    files = predict(curated, folder, texts)
    given = ["--records", str(curated / "test.jsonl"), "--train", str(curated / "train.jsonl"), "--predictions", *files]
    score.main(score.parser().parse_args([*given, "--out", str(folder / "metrics.json"), "--scope", "road"]))
    return read_json(folder / "metrics.json")


def test_the_true_answer_is_best_and_what_cannot_be_read_is_worst(curated, tmp_path, capsys):
    metrics = scored(curated, tmp_path, {"base": "no JSON", "tuned": "", "f16": "", "Q8_0": "", "shuffled": ""})
    best, worst = metrics["variants"]["tuned"], metrics["variants"]["base"]
    values = {name: row["value"] for name, row in best.items() if name != "height_rmse"}
    assert values == {
        "valid_json": 1,
        "height_correlation": pytest.approx(1, abs=1e-3),
        "texture_f1": 1,
        "object_error": 0,
        "liquid_f1": None,  # there is none, and none was said
        "hole_f1": 1,
        "perplexity": None,
    }
    assert best["height_rmse"]["value"] < 20
    assert {name: worst[name]["value"] for name in ("valid_json", "height_correlation", "texture_f1", "hole_f1")} == {
        "valid_json": 0, "height_correlation": 0, "texture_f1": 0, "hole_f1": 0
    }  # fmt: skip
    trivial = metrics["baselines"]
    assert worst["height_rmse"]["value"] >= max(
        trivial[name]["height_rmse"]["value"] for name in ("mean", "nearest", "flat")
    )
    assert trivial["flat"]["height_rmse"]["value"] > 50
    assert "shuffled" in trivial and "shuffled" not in metrics["variants"]
    assert len((tmp_path / "failures.jsonl").read_text().splitlines()) == metrics["cases"]
    assert "RMSE, yards" in capsys.readouterr().out


def test_baselines_by_hand(curated):
    """All tiles of the fixture have the same slope: its mean and its nearest neighbour are the truth."""
    test, train = cases(curated), cases(curated, "train")
    said = answers(train, test)
    np.testing.assert_allclose(said["mean"][0].field, test[0].truth, atol=0.01)
    np.testing.assert_allclose(said["nearest"][0].field, test[0].truth, atol=0.01)
    assert np.ptp(said["flat"][0].field) == 0 and said["flat"][0].ground is None
    assert said["mean"][0].ground.textures == {"grass": 100}
    slope = np.add.outer(np.arange(33) * 16.0, np.arange(33) * 8.0)
    assert score.squared(test[0], said["flat"][0]) == pytest.approx(slope.var(), rel=1e-3)
    counts = score.counted(test, said["flat"], {"squares": np.zeros(len(test)), "object_error": np.zeros(len(test))})
    groups = [case.group for case in test]
    rows = Scores(SYSTEM, {"flat": counts}, score.FORMULAS, groups, Bootstrap(100), "height_rmse").estimates("flat")
    assert rows["height_rmse"]["value"] == pytest.approx(slope.std(), rel=1e-3)
    assert rows["texture_f1"]["value"] is None and rows["object_error"]["value"] is None


def test_counts_of_an_answer_by_hand(curated):
    """Liquids and holes by cell, objects by count; an answer that cannot be read gets the worst error of a baseline."""
    case = cases(curated)[0]
    cells = case.ground.holes.shape
    pond, hole = np.zeros(cells, bool), np.zeros(cells, bool)
    pond[0, :3] = hole[2, 5] = True
    objects = {"pine": (4, [(0, 0)])}
    due = replace(case.ground, liquids={"water": pond}, holes=hole, objects=objects)
    case.__dict__["ground"] = due  # as the cached property would hold it
    worst = {"squares": np.array([9.0]), "object_error": np.array([7.0])}
    told = replace(due, liquids={"water": pond.T}, holes=hole | pond, objects={"pine": (1, [(0, 0)])})
    row = score.count(case, Said(case.truth, told), worst, 0)
    assert (row["liquid_hits"], row["liquid_given"], row["liquid_due"]) == (1, 3, 3)
    assert (row["hole_hits"], row["hole_given"], row["hole_due"]) == (1, 4, 1)
    assert row["object_error"] == 3 and row["squares"] == 0
    other = replace(told, liquids={"lava": pond}, objects={"pine": (9, [(0, 0)])})
    row = score.count(case, Said(case.truth, other), worst, 0)
    assert (row["liquid_hits"], row["liquid_given"]) == (0, 3) and row["object_error"] == 5
    failed = score.count(case, Said(None, None, "cut"), worst, 0)
    assert (failed["squares"], failed["object_error"], failed["valid"]) == (9, 7, 0)
    trivial = {
        "mean": [Said(case.truth, told)],
        "near": [Said(case.truth + 2, other)],
        "flat": [Said(case.truth, None)],
    }
    errors = score.worst_errors([case], trivial)
    assert errors["squares"].tolist() == [4] and errors["object_error"].tolist() == [5]


def test_answers_in_code_fences_are_read(curated):
    text = cases(curated)[0].record.messages[-1].text
    assert said_by(f"```json\n{text}\n```", OPTIONS).ground.textures == {"grass": 100}
    assert said_by(text[:-2], OPTIONS).why.startswith("not valid JSON")


def test_correlation():
    rising = np.add.outer(np.arange(5.0), np.zeros(5))
    assert score.correlation(rising, 3 * rising + 7) == pytest.approx(1)
    assert score.correlation(rising, -rising) == pytest.approx(-1)
    assert score.correlation(rising, np.ones((5, 5))) == 0


def test_unseen_tiles_are_scored_apart(curated, tmp_path):
    rows = [json.loads(line) for line in (curated / "test.jsonl").read_text().splitlines()]
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("images", "truth", "stats.json", "train.jsonl"):
        (folder / name).symlink_to(curated / name)
    rows[0]["meta"]["set"] = "unseen"
    write_jsonl(folder / "test.jsonl", rows)
    metrics = scored(folder, tmp_path, dict.fromkeys(VARIANTS, ""))
    assert (metrics["cases"], metrics["unseen"]["cases"]) == (len(rows) - 1, 1)


def test_the_sheet_has_a_row_a_tile(curated, tmp_path):
    (file,) = predict(curated, tmp_path, {"Q8_0": ""})
    out = tmp_path / "sheet.png"
    given = ["--records", str(curated / "test.jsonl"), "--predictions", file, "--out", str(out), "--rows", "2"]
    sheet.main(sheet.parser().parse_args(given))
    import cv2

    height, width, _ = cv2.imread(str(out)).shape
    assert (height, width) == (24 + 2 * (192 + 24), 4 * 192 + 5 * 6)


def test_the_sheet_shows_the_version_that_ships(curated, tmp_path):
    files = predict(curated, tmp_path, {"f16": "", "Q8_0": ""})
    (tmp_path / "gate.json").write_text('{"variant": "Q8_0"}')
    assert sheet.chosen(list(map(Path, files)), tmp_path / "gate.json").stem == "Q8_0"
    assert sheet.chosen(list(map(Path, files)), None).stem == "f16"
    with pytest.raises(UserError, match=r"ships Q8_0, of which --predictions names no Q8_0\.jsonl"):
        sheet.chosen([Path(files[0])], tmp_path / "gate.json")


def test_light_comes_from_the_north_west():
    # a slope that falls to the north-west faces the sun
    facing, away = (sign * np.add.outer(np.arange(33.0), np.arange(33.0)) for sign in (1, -1))
    assert tile_shade(facing).min() > tile_shade(np.zeros((33, 33))).max() > tile_shade(away).max()


def test_error_colours():
    low, right, high = error_picture(np.array([-10.0, 0.0, 10.0]), 10.0)
    assert (low.tolist(), right.tolist(), high.tolist()) == ([255, 0, 0], [255, 255, 255], [0, 0, 255])


def test_joining_closes_every_seam():
    dice = np.random.default_rng(3)
    placed = {(x, y): rebuild(dice.uniform(0, 100, (8, 8))) for x in range(3) for y in range(3)}
    whole = join(placed)
    assert whole.shape == (3 * 256 + 1, 3 * 256 + 1)
    assert np.abs(np.diff(whole[:, 240:272], axis=1)).max() < 8  # no step where two tiles meet
    middle = placed[1, 1][128, 128]
    assert whole[256 + 128, 256 + 128] == pytest.approx(middle)
    # not a full rectangle: the borders of what is there are closed, also where a neighbour has none on that side
    corner = join({at: placed[at] for at in ((0, 0), (1, 0), (0, 1))})
    assert np.abs(np.diff(corner[:257, 240:272], axis=1)).max() < 8
    assert np.abs(np.diff(corner[240:272, :257], axis=0)).max() < 8
    # where neighbours agree nothing moves
    plane = np.add.outer(np.arange(769.0), np.arange(769.0))
    cut = {(x, y): plane[256 * y : 256 * y + 257, 256 * x : 256 * x + 257] for x in range(3) for y in range(3)}
    np.testing.assert_allclose(join(cut), plane)


class Parrot:
    """Stands for the model: says what is written for a picture's name."""

    def __init__(self, said):
        self.said = said

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def ask(self, path):
        return self.said[path.stem]


def test_rebuilding_a_folder(curated, tmp_path, monkeypatch, capsys):
    text = cases(curated)[0].record.messages[-1].text
    said = {"Made_1_1": text, "Made_2_1": text, "Made_1_2": "no answer", "Other_5_5": text}
    said["Other_70_70"] = text
    (tmp_path / "in").mkdir()
    for name in (*said, "Made_1_1_heightmap", "notes"):
        cv2.imwrite(str(tmp_path / "in" / f"{name}.png"), np.zeros((8, 8, 3), np.uint8))
    write_json(tmp_path / "package" / CONFIG, {"form": OPTIONS.model_dump()})
    monkeypatch.setattr(rebuild_command, "Surveyor", lambda *_: Parrot(said))
    given = ["--model", str(tmp_path / "package"), "--image", str(tmp_path / "in"), "--out", str(tmp_path / "out")]
    assert rebuild_command.main(rebuild_command.parser().parse_args(given)) == 1
    told = capsys.readouterr().err
    assert "Made_1_2.png: the answer cannot be read" in told
    assert "no map of Other: a side of 16,897 pixels is more than 16,384" in told
    names = {path.name for path in (tmp_path / "out").iterdir()}
    endings = ("_height.png", "_hillshade.png", ".obj", ".json")
    assert names == {
        *(f"{tile}{end}" for tile in ("Made_1_1", "Made_2_1", "Other_5_5", "Other_70_70") for end in endings),
        *(f"Made_map{end}" for end in ("_height.png", "_hillshade.png", ".json")),
        "Made_1_2.txt",
    }
    facts = read_json(tmp_path / "out/Made_1_1.json")
    assert facts["answer"] == text
    heights = facts["heights"]
    field = read_heights(tmp_path / "out/Made_1_1_height.png", heights["yards_at_0"], heights["yards_a_step"])
    due = rebuild(cases(curated)[0].ground.heights(OPTIONS.levels))
    np.testing.assert_allclose(field, due, atol=0.01)
    assert cv2.imread(str(tmp_path / "out/Made_map_height.png"), cv2.IMREAD_UNCHANGED).shape == (257, 513)


def test_the_sheet_may_be_a_jpeg(tmp_path):
    write_picture(tmp_path / "a.jpg", np.full((16, 16, 3), 90, np.uint8))
    assert (tmp_path / "a.jpg").read_bytes()[:3] == b"\xff\xd8\xff"


def test_the_mesh_by_hand():
    text = obj_text(np.array([[0.0, 1.0], [2.0, 3.0]]), 10.0)
    assert text.splitlines()[1:] == [
        "v 0.000 0.000 0.000", "v 10.000 1.000 0.000", "v 0.000 2.000 10.000", "v 10.000 3.000 10.000",
        "f 1 3 2", "f 2 3 4",
    ]  # fmt: skip
    assert obj_text(np.zeros((257, 257)), 1.0).count("\nv ") == 129 * 129


def test_truth_is_thinned_to_a_grid(curated):
    case = cases(curated)[0]
    assert case.truth.shape == (33, 33) == thinned(np.zeros((257, 257))).shape
    assert to_text(case.ground, case.options) == case.record.messages[-1].text


def test_the_report_by_hand():
    """Both tables and the pairs, line by line; only the scores of a smoke test end with the warning."""

    def rows(rmse, correlation, *shares):
        values = dict(zip(("valid_json", "texture_f1", "object_error", "liquid_f1", "hole_f1"), shares, strict=True))
        scores = {"height_rmse": rmse, "height_correlation": correlation}
        return {name: {"value": value, "low": None, "high": None} for name, value in (scores | values).items()}

    tuned = rows(12.25, 0.5, 1, 0.75, 0.125, None, 0.5)
    tuned["height_rmse"] |= {"low": 10.0, "high": 15.5}
    facts = {"cases": 7, "groups": 3, "confidence": 0.95}
    pair = {"variant": "tuned", "against": "base", "metric": "height_rmse", "value": -4.5, "low": -6.0, "high": -3.0}
    metrics = {
        **facts,
        "variants": {"tuned": tuned},
        "baselines": {"flat": rows(40.04, 0, 1, None, None, None, None)},
        "paired": [pair],
        "unseen": {**facts, "cases": 2, "variants": {"tuned": tuned}, "baselines": {}},
        "scope": "learning",
    }
    lines = [
        "7 tiles, 3 blocks; intervals 95%.",
        "        RMSE, yards        correlation  valid  textures F1  objects off  liquid F1  hole F1",
        "------  -----------------  -----------  -----  -----------  -----------  ---------  -------",
        "tuned   12.2 [10.0, 15.5]  0.50         1.00   0.75         0.12         n/a        0.50",
        "(flat)  40.0               0.00         1.00   n/a          n/a          n/a        n/a",
        "tuned minus base, height_rmse: -4.500 [-6.000, -3.000]",
        "2 tiles of maps in a style that no one trained on, 3 blocks; intervals 95%.",
        "       RMSE, yards        correlation  valid  textures F1  objects off  liquid F1  hole F1",
        "-----  -----------------  -----------  -----  -----------  -----------  ---------  -------",
        "tuned  12.2 [10.0, 15.5]  0.50         1.00   0.75         0.12         n/a        0.50",
    ]
    assert "\n".join(score.report(metrics)).splitlines() == lines
