"""Goals of segments: by the game's state, a table, an endpoint that a test stands in for; remembered by content."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from scripts.gameplay.labels.endpoint import Endpoint
from scripts.gameplay.labels.labeller import LabelError, Scene, goal_of
from scripts.gameplay.labels.memory import Memory
from scripts.gameplay.labels.state import State
from scripts.gameplay.labels.table import Table, table_text
from scripts.lib.cli import UserError
from scripts.lib.options.labels import LabelOptions


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
