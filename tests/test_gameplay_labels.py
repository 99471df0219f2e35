"""Goals of segments: by the game's state, a table, an endpoint that a test stands in for; remembered by content."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest

from scripts.gameplay import label
from scripts.gameplay.labels.endpoint import Endpoint
from scripts.gameplay.labels.labeller import LabelError, Scene, goal_of
from scripts.gameplay.labels.memory import Memory
from scripts.gameplay.labels.state import State
from scripts.gameplay.labels.table import Table, table_text
from scripts.gameplay.options import LabelOptions
from scripts.lib.cli import UserError
from scripts.lib.files import read_jsonl, write_jsonl
from scripts.terrain.pictures import write_picture


@pytest.fixture
def scene(tmp_path):
    frames = [tmp_path / f"{number}.jpg" for number in range(3)]
    for frame in frames:
        frame.write_bytes(frame.name.encode())
    objects = [{"goal": "Go to the armor"}] + [{"goal": "Pick up the medkit"}] * 2
    return Scene("one", "one/0", frames, objects)


@pytest.mark.parametrize(
    ("text", "goal"),
    [
        ("Go to the lantern", "Go to the lantern"),
        ('Goal: "go to the lantern."\nBecause it is near.', "Go to the lantern"),
        ("  walk into Mira’s well-lit inn!", "Walk into Mira’s well-lit inn"),
    ],
)
def test_goals_are_written_one_way(text, goal):
    assert goal_of(text) == goal


@pytest.mark.parametrize("text", ["", "Go there", "The player goes to the lantern there"])
def test_what_is_no_goal_is_told(text):
    with pytest.raises(LabelError, match="has 3 to 5 words, not"):
        goal_of(text)


def test_the_game_says_what_most_frames_are_played_for(scene):
    assert State().label(scene) == "Pick up the medkit"
    with pytest.raises(LabelError, match="label by vlm, openai or file"):
        State().label(Scene("a", "b", [], []))


def test_a_table_keeps_what_a_person_wrote(scene, tmp_path):
    path = tmp_path / "goals.csv"
    path.write_text(table_text([scene], {}))
    assert path.read_text() == "recording,segment,goal\none,one/0,\n"
    with pytest.raises(LabelError, match="names no goal"):
        Table(path).label(scene)
    path.write_text("\ufeffgoal,segment,recording\nGo to the lake,one/0,one\n", encoding="utf-8")
    assert Table(path).label(scene) == "Go to the lake"
    assert table_text([scene], Table(path).goals).endswith("one,one/0,Go to the lake\n")
    path.write_text("recording,segment,goal\none,one/0,Go to the lake\none,one/0,x\n")
    with pytest.raises(UserError, match=r"line 3: one/one/0 stands twice"):
        Table(path)
    path.write_text("segment,goal\n")
    with pytest.raises(UserError, match="has no column recording"):
        Table(path)
    with pytest.raises(UserError, match="no such table"):
        Table(tmp_path / "none.csv")


class Counted:
    """A labeller that says what it is told to, and counts how often it was asked."""

    def __init__(self, said, **key):
        self.said, self.given, self.times = said, key, 0

    def key(self):
        return {"by": "test", **self.given}

    def label(self, scene):
        self.times += 1
        return goal_of(self.said)


def test_no_answer_is_paid_for_twice(scene, tmp_path):
    model = Counted("Go to the lantern")
    for _ in range(2):  # an interrupted run goes on where it was
        memory = Memory(tmp_path / "memory", model)
        assert memory.label(scene) == "Go to the lantern"
    assert (model.times, memory.asked) == (1, 0)
    # another name, the same frames: nothing is asked
    assert memory.label(Scene("two", "two/5", scene.frames, [])) == "Go to the lantern"
    assert model.times == 1
    scene.frames[1].write_bytes(b"edited")
    memory.label(scene)
    Memory(tmp_path / "memory", Counted("Go to the lantern", prompt="another")).label(scene)
    assert model.times == 2
    assert len(list((tmp_path / "memory").rglob("*.json"))) == 3


def test_refusals_are_remembered_too(scene, tmp_path):
    model = Counted("no")
    for _ in range(2):
        with pytest.raises(LabelError, match="not 1: 'no'"):
            Memory(tmp_path, model).label(scene)
    assert model.times == 1


@pytest.fixture
def endpoint():
    """An endpoint that answers as `said` says, and keeps what it was asked."""
    said, heard = {"status": 200, "body": {"choices": [{"message": {"content": "Go to the lantern."}}]}}, []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            heard.append((self.path, self.headers["Authorization"], body))
            self.send_response(said["status"])
            self.end_headers()
            self.wfile.write(json.dumps(said["body"]).encode())

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1", said, heard
    server.shutdown()
    server.server_close()


def test_an_endpoint_is_shown_the_frames_and_asked_once(scene, endpoint, monkeypatch):
    url, said, heard = endpoint
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    options = LabelOptions(by="openai", model="seer", url=url, prompt="{count} frames: what goal?")
    with Endpoint(options) as labeller:
        assert labeller.label(scene) == "Go to the lantern"
        [(path, key, body)] = heard
        assert (path, key, body["model"], body["temperature"]) == ("/v1/chat/completions", "Bearer secret", "seer", 0)
        [message] = body["messages"]
        assert [part["type"] for part in message["content"]] == ["image_url"] * 3 + ["text"]
        assert message["content"][0]["image_url"]["url"] == "data:image/jpeg;base64,MC5qcGc="
        assert message["content"][3]["text"] == "3 frames: what goal?"
        said["body"] = {"choices": [{"message": {"content": "I cannot tell"}}]}
        assert labeller.label(scene) == "I cannot tell"  # three words: only a person sees that it is none
        said["body"] = {"oops": 1}
        with pytest.raises(UserError, match="is not OpenAI's chat protocol"):
            labeller.label(scene)
        said["status"] = 401
        with pytest.raises(UserError, match="refused with 401"):
            labeller.label(scene)
        assert "secret" not in json.dumps(labeller.key())


def test_an_endpoint_that_is_not_there_is_told(scene):
    options = LabelOptions(by="openai", model="seer", url="http://127.0.0.1:9/v1", timeout=2)
    with Endpoint(options) as labeller, pytest.raises(UserError, match=r"cannot be reached .* label\.url"):
        labeller.label(scene)


@pytest.fixture
def ingested(tmp_path):
    """A recording of two segments as ingesting writes it, the second without a goal of the game."""
    folder = tmp_path / "one"
    (folder / "frames").mkdir(parents=True)
    rows = []
    for segment in range(2):
        frames = [{"frame": f"frames/{segment}{at}.jpg", "stamp": at} for at in range(3)]
        for at, frame in enumerate(frames):
            write_picture(folder / frame["frame"], np.full((48, 64, 3), 40 * segment + 10 * at, np.uint8))
            frame |= {"objects": {"goal": "Go to the armor"}} if segment == 0 else {}
        rows.append({"id": f"one/{segment}", "recording": "one", "frames": frames, "samples": []})
    write_jsonl(folder / "segments.jsonl", rows)
    return folder


def label_them(*given):
    label.main(label.parser().parse_args(list(map(str, given))))


def test_the_stage_labels_segments_and_says_which_have_no_goal(ingested, tmp_path, capsys):
    label_them("--ingested", ingested, "--out", tmp_path / "labels.jsonl")
    rows = [row for _, row in read_jsonl(tmp_path / "labels.jsonl")]
    assert rows[0] == {"recording": "one", "segment": "one/0", "goal": "Go to the armor"}
    assert "label by vlm, openai or file" in rows[1]["why"]
    assert "2 segments, 1 without a goal" in capsys.readouterr().err
    with pytest.raises(UserError, match="--out is missing"):
        label_them("--ingested", ingested)


def test_a_person_fills_in_a_table_beside_a_page(ingested, tmp_path):
    sheet = tmp_path / "goals"
    label_them("--ingested", ingested, "--sheet", sheet)
    page = (sheet / "goals.html").read_text()
    assert page.count("<img") == 6 and "one/1" in page and "http" not in page
    path = sheet / "goals.csv"
    path.write_text(path.read_text().replace("one/1,", "one/1,Go to the <b>lamp</b>").replace("one/0,", "one/0,Up"))
    label_them("--ingested", ingested, "--sheet", sheet)  # again: what was written stays
    assert "Go to the &lt;b&gt;lamp&lt;/b&gt;" in (sheet / "goals.html").read_text()
    options = json.dumps({"by": "file", "file": str(path)})
    label_them("--ingested", ingested, "--out", tmp_path / "labels.jsonl", "--params", options)
    rows = [row for _, row in read_jsonl(tmp_path / "labels.jsonl")]
    assert "has 3 to 5 words, not 1: 'Up'" in rows[0]["why"]
    assert "goal" not in rows[1]  # tags make six words of it


def test_an_interrupted_run_asks_for_the_rest_only(ingested, tmp_path, endpoint):
    url, _, heard = endpoint
    options = json.dumps({"by": "openai", "model": "seer", "url": url, "frames": 2})
    given = ["--ingested", ingested, "--out", tmp_path / "l.jsonl", "--params", options, "--memory", tmp_path / "m"]
    label_them(*given)
    assert len(heard) == 2 and [len(body["messages"][0]["content"]) for *_, body in heard] == [3, 3]
    write_picture(ingested / "frames/12.jpg", np.full((48, 64, 3), 200, np.uint8))  # not among the two that are shown
    label_them(*given)
    assert len(heard) == 2
    write_picture(ingested / "frames/10.jpg", np.full((48, 64, 3), 200, np.uint8))
    label_them(*given)
    assert len(heard) == 3


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"by": "openai", "model": "m"}, "by: openai needs url"),
        ({"by": "vlm"}, "by: vlm needs model"),
        ({"by": "file"}, "by: file needs file"),
        ({"prompt": "{count} {count}"}, "more than once"),
    ],
)
def test_options_name_what_is_missing(given, said):
    with pytest.raises(UserError, match=said):
        LabelOptions.parse(given)
