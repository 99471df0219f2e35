"""The animation of a session."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from aerial_fixtures import box_obj, write

from scripts.aerial import sessions, show
from scripts.aerial.animation import PAPER, Look, from_above, from_side
from scripts.aerial.picture import class_colours
from scripts.aerial.poses import level_pose
from scripts.lib.cli import UserError

BUILDING = 3
LOOK = Look(class_colours({"building": BUILDING}), {BUILDING: "building"}, (-4, -4, 0, 4, 4, 8), True, 0.0, 80)


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    root = tmp_path_factory.mktemp("show")
    write(root / "mesh" / "bldg.obj", box_obj((-5, -5, 0), (5, 5, 9)))
    params = {
        "voxels": {"grid": {"range": [-20, -20, -2, 20, 20, 18], "voxel": [2, 2, 2]}},
        "sessions": {
            "kinds": ["orbit"],
            "orbit": {"radius": [15, 20], "height": [5, 15]},
            "camera": {"width": 32, "height": 18},
            "lidar": {"beams": 1, "azimuths": 4},
        },
    }
    line = ["--input", str(root / "mesh"), "--output", str(root / "out"), "--params", json.dumps(params)]
    sessions.main(sessions.parser().parse_args([*line, "--sessions", "1", "--frames", "4"]))
    return next(each for each in (root / "out").glob("drone_*") if each.is_dir())  # its sums lie beside it


def animate(session, out, **params):
    show.main(show.parser().parse_args([str(session), "--out", str(out), "--params", json.dumps(params)]))


def test_a_gif_has_every_frame(session, tmp_path):
    animate(session, tmp_path / "a.gif", size=80)
    whole, frames = cv2.imreadmulti(str(tmp_path / "a.gif"))
    assert whole and len(frames) == 4 and frames[0].shape[1] == 100 + 20 + 2 * (80 + 20)
    assert not np.array_equal(frames[0], frames[3])
    assert (tmp_path / "a.gif").read_bytes()[:6] == b"GIF89a" and list(tmp_path.iterdir()) == [tmp_path / "a.gif"]


def test_a_gif_has_the_colours_that_were_drawn(session, tmp_path):
    """OpenCV's defaults are 14 of 255 levels off on average."""
    animate(session, tmp_path / "a.gif", size=80)
    poses, _ = show.read_poses(session)
    drawn = list(show.pictures(session, poses, [0, 3], show.look_of(session, 80)))
    _, frames = cv2.imreadmulti(str(tmp_path / "a.gif"))
    for one, other in zip(drawn, (frames[0], frames[3]), strict=True):
        assert np.abs(one.astype(int) - other).mean() < 2


def test_some_frames_as_video(session, tmp_path):
    animate(session, tmp_path / "a.mp4", size=80, every=2)
    film = cv2.VideoCapture(str(tmp_path / "a.mp4"))
    assert film.get(cv2.CAP_PROP_FRAME_COUNT) == 2


def test_a_file_is_no_session(session, tmp_path):
    with pytest.raises(UserError, match="no folder of a session"):
        animate(session.with_name(f"{session.name}.json"), tmp_path / "a.gif")


def test_a_cell_ahead_on_the_left_is_up_on_the_left():
    grid = np.zeros((8, 8, 8), np.uint8)
    grid[7, 7, 1] = BUILDING  # x 3 to 4 m ahead, y 3 to 4 m to the left, 1 to 2 m high
    above = (from_above(grid, LOOK) != PAPER).any(axis=2)
    assert above[:10, :10].all() and above.sum() == 100
    side = (from_side(grid, level_pose((0, 0, 20.0)), LOOK, 10.0)[20:] != PAPER).any(
        axis=2
    )  # the cross is at the upper edge
    assert side[40:50, 70:].all() and side.sum() == 100


def test_what_cannot_be_shown_is_a_sentence(session, tmp_path):
    with pytest.raises(UserError, match=r"a\.avi: no such kind of animation; name it \.gif or \.mp4"):
        animate(session, tmp_path / "a.avi")
    with pytest.raises(UserError, match=r"session\.json: no such file"):
        animate(tmp_path, tmp_path / "a.gif")
    write(tmp_path / "s" / "session.json", "{}")
    with pytest.raises(UserError, match="tells no classes and no grid"):
        animate(tmp_path / "s", tmp_path / "a.gif")
    with pytest.raises(UserError, match="not a frame's cells"):
        show.cells(write(tmp_path / "x.npz", "no archive"))
