"""The one page: every block is there, nothing from data is markup, what is not built is said to be so."""

from __future__ import annotations

import itertools
import json
import re
from html.parser import HTMLParser

import pytest

from scripts import report
from scripts.aerial.world import report as horizons
from scripts.lib.cli import UserError
from scripts.packaging.evidence import Group, count_groups, number, size
from scripts.report_parts import svg
from tests.package_fixtures import NASTY, STATS, make_run, write_json

BLOCKS = (
    "Is it any good?", "Did it learn?", "What does a smaller file cost?", "What does it say?", "Did it arrive whole?",
    "Does it pass the quality limits?", "What did it learn from?", "How was it made?",
)  # fmt: skip


class Elements(HTMLParser):
    """Counts elements and keeps their attributes' names; complains about those that do not close."""

    VOID = frozenset({"meta", "link", "br", "img", "line", "circle", "polyline"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.names.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def build(root, *words: str, run: str = "dnd/dm") -> str:
    out = root / "page/index.html"
    report.main(report.parser().parse_args(["--run", str(root / "reports" / run), "--out", str(out), *words]))
    return out.read_text(encoding="utf-8")


@pytest.fixture
def root(tmp_path):
    make_run(tmp_path)
    case = {"id": "combat/1", "answer": 2, "prompt": "Pip hides. " + NASTY, "completion": NASTY}
    write_json(tmp_path / "dist/dnd/dm/test_results.json", {"cases": [case]})
    failure = {"variant": "Q4_K_M", "id": NASTY, "prompt_tail": NASTY, "expected": [NASTY], "completion": NASTY}
    (tmp_path / "reports/dnd/dm/failures.jsonl").write_text(json.dumps(failure) + "\n", encoding="utf-8")
    write_json(tmp_path / "reports/dnd/dm/predictions/Q4_K_M.jsonl", {})
    return tmp_path


def test_every_block_is_there(root):
    page = build(root, "--preset", "learn")
    for words in (*BLOCKS, "preset learn", "Q4_K_M", "nearest", "Proves learning", "tensor inventory", "duplicate"):
        assert words in page
    assert "not built yet" not in re.sub(r"<td[^>]*>not built yet", "", page)
    elements = Elements(page)
    assert elements.names.count("polyline") == 2
    assert elements.names.count("circle") > 10


def test_nothing_from_data_becomes_markup(root):
    elements = Elements(build(root, "--preset", NASTY))
    assert "script" not in elements.names
    assert "img" not in elements.names
    assert not [name for name, _ in elements.attributes if name.startswith("on")]


def test_text_inside_pictures_is_escaped():
    picture = svg.rank_chart([svg.Mark(NASTY, 0.5, 0.4, 0.6, NASTY)], NASTY, 0, 1)
    assert "<script" not in picture
    assert "<img" not in picture


def test_needs_no_network(root):
    elements = Elements(build(root))
    links = [value for name, value in elements.attributes if name in ("src", "href", "srcset")]
    assert all(value.startswith(("#", "data:")) for value in links)
    assert "url(" not in build(root)
    assert "default-src 'none'" in build(root)


def test_same_inputs_give_the_same_page(root, tmp_path_factory):
    assert build(root) == build(root)
    assert str(root) not in build(root)


def test_a_run_without_anything_says_not_built(tmp_path):
    page = build(tmp_path)
    assert page.count("not built yet") > 8
    for words in BLOCKS:
        assert words in page
    Elements(page)


def test_broken_json_is_one_sentence(root):
    (root / "reports/dnd/dm/metrics.json").write_text("{")
    with pytest.raises(UserError, match=r"metrics\.json: not valid JSON"):
        build(root)


def test_road_and_missed_gate_are_marked(root):
    write_json(
        root / "reports/dnd/dm/gate.json", {"passed": False, "variant": "Q4_K_M", "why": "too low", "checks": []}
    )
    page = build(root, "--scope", "road")
    assert "Proves the road, quote no score." in page
    assert "A quality limit was missed." in page


def test_times_and_sizes_come_from_files(root):
    benchmark = root / "benchmarks/dnd/dm/train.tsv"
    benchmark.parent.mkdir(parents=True)
    benchmark.write_text("s\th:m:s\tmax_rss\n300.0\t0:05:00\t1000\n500.0\t0:08:20\tNA\n")
    page = build(root, "--benchmarks", str(root / "benchmarks"))
    assert "6.7 min" in page
    assert "1.0 GB" in page
    assert "not kept (needed no more)" in page  # merged weights, while quants are there


def test_places_may_be_given(root, tmp_path):
    moved = root / "elsewhere"
    (root / "models/dnd/dm").rename(moved)
    assert "Every tensor" not in build(root)
    page = build(root, "--paths", json.dumps({"dnd/dm": {"models": str(moved)}}))
    assert "every tensor accounted for" in page
    with pytest.raises(UserError, match="unknown key 'modles'"):
        build(root, "--paths", '{"dnd/dm": {"modles": "x"}}')


def test_a_score_that_is_not_defined_is_not_drawn(root):
    metrics = json.loads((root / "reports/dnd/dm/metrics.json").read_text())
    undefined = {"value": None, "low": None, "high": None, "n": 0}
    for row in (*metrics["variants"].values(), *metrics["baselines"].values()):
        row["call_f1"] = undefined
    write_json(root / "reports/dnd/dm/metrics.json", metrics)
    assert "n/a" in build(root)


def test_counts_of_any_shape_become_tables():
    groups = {group.title: group for group in count_groups(STATS)}
    assert groups["counts"].rows == [("files in", ["84"]), ("records out", ["80"])]
    assert groups["splits"] == Group(
        "splits", ["records", "tokens"], [("train", ["52", "31,000"]), ("test", ["21", "12,800"])]
    )
    assert groups["reasons"].rows[0] == ("duplicate", ["3"])
    long = count_groups({"many": {f"r{n}": n for n in range(40)}})[0]
    assert long.rows[-1][0] == "and 26 more"


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, "n/a"), (0.123456, "0.123"), (3.2e-7, "3.2e-07"), (12800, "12,800"), (True, "yes"), (0, "0")],
)
def test_numbers_are_short(value, words):
    assert number(value) == words


def test_sizes_are_short():
    assert [size(count) for count in (None, 12, 1500, 10**8, 3 * 10**9)] == [
        "n/a",
        "12 B",
        "1.5 kB",
        "100.0 MB",
        "3.0 GB",
    ]


@pytest.mark.parametrize(
    ("low", "high", "expected"), [(0, 1, [0, 0.5, 1]), (0, 100, [0, 50, 100]), (2.2, 3.9, [3]), (5, 5, [5])]
)
def test_ticks_are_round_and_inside(low, high, expected):
    assert svg.ticks(low, high, 3) == pytest.approx(expected)


def test_labels_of_neighbouring_points_do_not_overlap():
    points = [(200.0, 100.0), (206.0, 101.0), (203.0, 99.0), (400.0, 100.0)]
    places = svg.label_places(points, ["Q4_K_M", "Q5_K_M", "Q6_K", "f16"])
    heights = [height for _, height, _ in places[:3]]
    assert len({round(height / svg.LINE) for height in heights}) == 3
    assert min(abs(a - b) for a in heights for b in heights if a != b) >= svg.LINE
    assert places[3] == (391.0, 104.0, "end")


@pytest.mark.parametrize("better", [[], ["all", "Go to the armor"]])
def test_the_page_says_how_often_an_agent_gets_there(root, better):
    def row(value):
        score = {"value": value, "low": value / 2, "high": (1 + value) / 2, "n": 4}
        return {"success": score, "goals": {"Go to the armor": score}, "unread": 1, "decisions": 30}

    players = {name: row(value) for name, value in (("agent", 0.75), ("random", 0.1), ("scripted", 1.0))}
    folder = root / "reports/gameplay/agent"
    write_json(folder / "loop.json", {"episodes": 4, "seconds": 20, "clear": better, "players": players})
    write_json(folder / "loop.speed.json", {"decisions_per_second": 3.5, "late": 2})
    (folder / "episode1.jpg").write_bytes(b"picture")
    page = build(root, run="gameplay/agent")
    Elements(page)
    assert ("clearly better than every player without a model at: all, Go to the armor" in page) == bool(better)
    assert ("at no goal clearly better" in page) != bool(better)
    assert "it made 3.5 a second here" in page and page.count("An episode: what the agent saw") == 1
    assert page.count("Does it get there?") == 1
    for path in (*folder.glob("loop*.json"), *folder.glob("episode*.jpg")):
        path.unlink()
    assert "Does it get there?" not in build(root, run="gameplay/agent")


def world_metrics():
    """Two frames ahead; the model is above what is carried along at the first alone."""

    def row(first, second):
        scores = {"iou_no_ground": first, "iou_no_ground_1": first, "iou_no_ground_2": second}
        return {
            name: {"value": value, "low": value - 0.05, "high": value + 0.05, "n": 8} for name, value in scores.items()
        }

    return {
        "system": "aerial",
        "run": "world",
        "scope": "learning",
        "cases": 8,
        "groups": 4,
        "confidence": 0.95,
        "variants": {"torch": row(0.61, 0.42), "f32": row(0.6, 0.41)},
        "baselines": {
            NASTY: row(0.2, 0.1),
            "ego_warped": row(0.5, 0.45),
            "ego_warped_true": row(0.9, 0.88),
            "shuffled": row(0.1, 0.1),
        },
        "oracles": ["ego_warped_true"],
        "horizons": [{"frame": 1, "seconds": 0.5}, {"frame": 2, "seconds": 1.0}],
        "beats": {"ego_warped": [1]},
        "paired": [
            {"metric": "iou_no_ground_1", "against": "ego_warped", "value": 0.11, "low": 0.02, "high": 0.2},
            {"metric": "iou_no_ground_2", "against": "ego_warped", "value": -0.03, "low": -0.1, "high": 0.04},
        ],
    }


def test_a_world_s_page_tells_how_far_ahead_it_sees_and_no_oracle_is_its_rival(tmp_path):
    place = tmp_path / "reports/aerial/world"
    write_json(place / "metrics.json", world_metrics())
    write_json(place / "gate.json", {"passed": True, "variant": "f32", "why": "", "metric": "iou_no_ground"})
    curve = [{"step": at, "stage": stage, "loss": 2.0 / at} for stage in ("vae", "transformer") for at in (1, 2)]
    (tmp_path / "models/aerial/world/training").mkdir(parents=True)
    lines = "".join(json.dumps(row) + "\n" for row in curve)
    (tmp_path / "models/aerial/world/training/loss.jsonl").write_text(lines)
    out = tmp_path / "index.html"
    report.main(report.parser().parse_args(["--run", str(place), "--out", str(out)]))
    page = out.read_text()
    Elements(page)
    assert NASTY not in page
    assert "How far ahead?" in page and "ego warped: the model is above it at frames 1, clearly" in page
    assert "model − ego warped" in page and "-0.100 to +0.040" in page
    assert "best baseline 0.50 (ego_warped)" in page
    assert "4 squares of ground" in page
    assert "Second stage: what comes next" in page
    assert "What does it say?" not in page and "tokens/s" not in page
    assert 'title="">iou no ground 2' not in page  # horizons have a table of their own


def test_labels_at_the_ends_of_lines_stand_apart():
    assert horizons.apart([10.0, 100.0]) == [10.0, 100.0]
    found = horizons.apart([50.0, 52.0, 53.0, 200.0])
    assert all(two - one > svg.LINE - 1e-9 for one, two in itertools.pairwise(found))
    assert found[1] == pytest.approx(155 / 3)
