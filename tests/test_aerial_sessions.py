"""Sessions: paths that touch nothing, files in the layout, the same bytes again, and what stops the build."""

from __future__ import annotations

import hashlib
import itertools
import json

import numpy as np
import pytest
from aerial_fixtures import EAST, NORTH, box_obj, write

from scripts.aerial import sessions
from scripts.aerial.meshes import load_mesh
from scripts.aerial.options import AerialMeshOptions
from scripts.aerial.paths.streets import net_of, route
from scripts.aerial.poses import read_poses
from scripts.lib.cli import UserError

BLOCKS = [(x, y) for x in (-60, -20, 20, 60) for y in (-60, -20, 20, 60)]
SMALL = {
    "voxels": {"grid": {"range": [-20, -20, -2, 20, 20, 38], "voxel": [2, 2, 2]}},
    "sessions": {
        "frames": 16,
        "sessions": 4,
        "camera": {"width": 48, "height": 32},
        "lidar": {"beams": 3, "azimuths": 12},
        "orbit": {"radius": [25, 40], "height": [8, 22]},  # lower than most roofs
        "survey": {"height": [8, 22], "spacing": [15, 25]},
        "walk": {"height": [5, 20], "speed": 6},
        "rover": {"speed": 6},
        "max_empty_share": 1,
    },
}


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    """Sixteen houses of 20 × 20 m, 8 to 38 m high, 20 m apart, on ground that falls to the west."""
    folder = tmp_path_factory.mktemp("town")
    for number, (x, y) in enumerate(BLOCKS):
        write(folder / f"bldg_{number}.obj", box_obj((x - 10, y - 10, -9), (x + 10, y + 10, 8 + number * 7 % 31)))
    ground = box_obj((-120, -120, 0), (120, 120, 1), ["1 2 3 4"]).splitlines()
    ground = [f"{line[:-5]}-6.000" if line.startswith(f"v {EAST - 120:.3f}") else line for line in ground]
    write(folder / "ground.obj", "\n".join(ground) + "\n")
    return folder


def changed(**own):
    return {**SMALL, "sessions": {**SMALL["sessions"], **own}}


def build(town, out, params=SMALL, *more):
    line = ["--input", str(town), "--output", str(out), "--params", json.dumps(params), *more]
    sessions.main(sessions.parser().parse_args(line))
    return sorted(path for path in out.iterdir() if path.is_dir())


def sums(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def triangles_of(folder):
    mesh, _ = load_mesh([folder], AerialMeshOptions())
    return mesh.vertices[mesh.triangles], mesh.classes


def slow_distance(point, triangles):
    """Metres to the nearest triangle, each by its plane and its three sides, without an index."""
    a, b, c = triangles[:, 0], triangles[:, 1], triangles[:, 2]
    normal = np.cross(b - a, c - a)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    height = ((point - a) * normal).sum(axis=1)
    foot = point - height[:, None] * normal
    inside, best = np.ones(len(a), bool), np.full(len(a), np.inf)
    for start, end in ((a, b), (b, c), (c, a)):
        side = end - start
        inside &= (np.cross(side, foot - start) * normal).sum(axis=1) >= 0
        share = np.clip(((point - start) * side).sum(axis=1) / (side * side).sum(axis=1), 0, 1)
        best = np.minimum(best, np.linalg.norm(point - start - share[:, None] * side, axis=1))
    return float(np.where(inside, np.abs(height), best).min())


@pytest.fixture(scope="module")
def built(town, tmp_path_factory):
    """A folder of four sessions, made by this process alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        out = tmp_path_factory.mktemp("built")
        build(town, out)
    return out


def folders(out):
    return sorted(path for path in out.iterdir() if path.is_dir())


def test_the_layout(built):
    names = [path.name for path in folders(built)]
    assert [name.split("_")[0] for name in names] == ["drone", "drone", "drone", "rover"]
    for folder in folders(built):
        told = json.loads((folder / "session.json").read_text())
        assert len(told["files"]) == 16 * 4 and told["quaternion_order"] == "xyzw" and told["velocity_frame"] == "world"
        assert {row["name"]: row["sha256"] for row in told["files"]} == {
            name: value for name, value in sums(folder).items() if name != "session.json"
        }
        with np.load(folder / "occupancy/000015_occupancy.npz") as arrays:
            grid = arrays["occupancy"]
        assert grid.shape == (20, 20, 20) and grid.dtype == np.uint8
        assert np.count_nonzero(grid) == told["frames"][15]["occupied"]
        points = np.load(folder / "lidar/000003_LIDAR.npy")
        assert points.dtype == np.float32 and points.shape == (told["frames"][3]["lidar_points"], 4)
    listed = json.loads((built / "sessions.json").read_text())["sessions"]
    assert [row["kind"] for row in listed] == ["survey", "orbit", "walk", "rover"]
    assert [row["name"] for row in listed] == names or sorted(row["name"] for row in listed) == names


def test_no_frame_and_no_step_comes_near_a_surface(built, town):
    triangles, _ = triangles_of(town)
    steps = turned = 0
    for folder in folders(built):
        told = json.loads((folder / "session.json").read_text())
        places = np.array([pose.position for pose in read_poses(folder)[0]])
        for start, end in itertools.pairwise(places):
            for share in (0, 0.25, 0.5, 0.75, 1):
                assert slow_distance(start + share * (end - start), triangles) > told["radius"]
        steps += len(places)
        turned += told["counts"]["steps_turned_away"] + told["counts"]["starts_given_up"]
    assert steps == 64 and turned > 0  # there was something to turn away from


def test_velocities_are_those_of_the_written_poses(built):
    for folder in folders(built):
        poses, faults = read_poses(folder)
        assert not faults
        places = np.array([pose.position for pose in poses])
        np.testing.assert_allclose(poses[7].linear, (places[8] - places[6]) / 1.0, atol=1e-9)  # two steps of 0.5 s
        np.testing.assert_allclose(poses[0].linear, (places[1] - places[0]) / 0.5, atol=1e-9)
    assert any(np.abs(pose.angular).max() > 0.01 for folder in folders(built) for pose in read_poses(folder)[0])


def test_a_rover_stands_on_the_ground(built, town):
    rover = next(folder for folder in folders(built) if folder.name.startswith("rover"))
    places = np.array([pose.position for pose in read_poses(rover)[0]])
    floor = -6 + 6 * (places[:, 0] - (EAST - 120)) / 240  # the plane of the fixture
    np.testing.assert_allclose(places[:, 2] - floor, 1.2, atol=1e-3)
    assert np.linalg.norm(np.diff(places, axis=0), axis=1).max() < 3.1  # 6 m/s, 0.5 s
    assert np.ptp(places[:, :2], axis=0).max() > 3
    up = np.array([pose.rotation[:, 2] for pose in read_poses(rover)[0]])
    np.testing.assert_allclose(up, np.tile(np.array([-6, 0, 240]) / np.hypot(6, 240), (16, 1)), atol=1e-3)


def test_a_rover_keeps_to_known_streets(town, tmp_path):
    folder = tmp_path / "mesh"
    for file in town.iterdir():
        write(folder / file.name, file.read_bytes())
    line = [[EAST, NORTH + y, 0.0] for y in (-70, 70)]
    other = [[EAST + x, NORTH, 0.0] for x in (-70, 70)]
    streets = [{"width": 8.0, "points": line}, {"width": 8.0, "points": other}]
    write(folder / "town_streets.json", json.dumps(streets))
    (rover,) = build(folder, tmp_path / "out", changed(kinds=["rover"], sessions=1, frames=30))
    places = np.array([pose.position[:2] for pose in read_poses(rover)[0]]) - [EAST, NORTH]
    assert np.abs(places).min(axis=1).max() < 4
    write(folder / "town_streets.json", '[{"width": 8}]')
    sessions.city_of.cache_clear()
    with pytest.raises(UserError, match=r"town_streets\.json: street 1 has no width and points"):
        build(folder, tmp_path / "out2", changed(kinds=["rover"], sessions=1))


def test_a_route_turns_at_crossings_and_back_only_at_ends():
    streets = net_of([(8.0, np.array([[0.0, -50], [0, 50]])), (8.0, np.array([[-50.0, 1], [50, 1]]))])
    seen = set()
    for seed in range(8):
        way = route(streets, 150, np.random.default_rng(seed))
        steps = np.linalg.norm(np.diff(way, axis=0), axis=1)
        assert steps.max() < 6
        seen |= {"x" if abs(x) > 5 else "y" for x, y in way.tolist() if max(abs(x), abs(y)) > 8}
    assert seen == {"x", "y"}


def test_sessions_differ_and_the_same_seed_gives_the_same_bytes_on_two_processes(built, town, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    build(town, tmp_path / "two")
    assert sums(tmp_path / "two") == sums(built)
    two = build(town, tmp_path / "surveys", changed(kinds=["survey"], sessions=2))
    tracks = [np.array([pose.position for pose in read_poses(one)[0]]) for one in two]
    assert np.linalg.norm(tracks[0] - tracks[1], axis=1).min() > 1
    drawn = [json.loads((one / "session.json").read_text())["drawn"] for one in two]
    assert drawn[0]["turn"] != drawn[1]["turn"] and drawn[0]["spacing"] != drawn[1]["spacing"]
    (other,) = build(town, tmp_path / "other", changed(kinds=["survey"], sessions=1), "--seed", "43")
    assert other.name != two[0].name


def test_a_killed_run_goes_on_without_redoing_what_was_finished(built, town, tmp_path, monkeypatch, capsys):
    out, real = tmp_path / "out", sessions.record
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def killed(city, session, options, folder, tick):
        ticks = iter(range(5))

        def some():
            if session.number == 1 and next(ticks, None) is None:
                raise KeyboardInterrupt

        return real(city, session, options, folder, some)

    monkeypatch.setattr(sessions, "record", killed)
    with pytest.raises(KeyboardInterrupt):
        build(town, out)
    first = [path for path in folders(out) if path.name != ".parts"]
    assert len(first) == 1 and not (out / "sessions.json").exists()
    assert list((out / ".parts").glob("*/occupancy")) and not list(out.glob(".parts/occupancy"))
    stamp = (first[0] / "session.json").stat().st_mtime_ns
    monkeypatch.setattr(sessions, "record", real)
    build(town, out)
    assert (first[0] / "session.json").stat().st_mtime_ns == stamp
    assert sums(out) == sums(built)
    assert "1 sessions are there already" in capsys.readouterr().err


def test_sessions_of_other_options_make_room_and_foreign_folders_stay(town, tmp_path, capsys):
    out = tmp_path / "out"
    one = build(town, out, changed(kinds=["walk"], sessions=1, frames=2))
    two = build(town, out, changed(kinds=["walk"], sessions=1, frames=2), "--seed", "9")
    assert one[0].name != two[0].name and folders(out) == two
    assert "removed 1 sessions" in capsys.readouterr().err
    (tmp_path / "foreign" / two[0].name).mkdir(parents=True)
    with pytest.raises(UserError, match="not a session of this command; choose another --output"):
        build(town, tmp_path / "foreign", changed(kinds=["walk"], sessions=1), "--seed", "9")
    assert (tmp_path / "foreign" / two[0].name).is_dir()


def test_too_many_frames_without_buildings_stop_the_build(town, tmp_path):
    high = changed(kinds=["walk"], sessions=1, max_empty_share=0.25)
    high["voxels"] = {"grid": {"range": [-20, -20, 500, 20, 20, 540], "voxel": [2, 2, 2]}}
    with pytest.raises(UserError, match=r"\(walk\): 5 of the first 5 frames have no cell of 'building'.*000000"):
        build(town, tmp_path / "out", high)
    assert not [path for path in folders(tmp_path / "out") if path.name != ".parts"]
    high["sessions"]["max_empty_share"] = 1
    (folder,) = build(town, tmp_path / "all", high)
    assert json.loads((folder / "session.json").read_text())["counts"]["without_built"] == 16


def test_what_cannot_be_done_is_a_sentence(town, tmp_path):
    with pytest.raises(UserError, match=r"walk: none of 3 starts leads through 16 frames 400 m away .* lower"):
        build(town, tmp_path / "a", changed(kinds=["walk"], radius=400, tries=3))
    with pytest.raises(UserError, match=r"rover: .*no surface of the classes tree; add the terrain's mesh"):
        build(town, tmp_path / "b", changed(kinds=["rover"], rover={"ground": ["tree"]}))
    with pytest.raises(UserError, match=r"sessions\.built: 'castle' is none of the classes ground, tree, building"):
        build(town, tmp_path / "c", changed(built="castle"))
    with pytest.raises(UserError, match=r"sessions\.orbit\.radius: two numbers, the smaller first"):
        build(town, tmp_path / "d", changed(orbit={"radius": [9, 3]}))
    with pytest.raises(UserError, match="did you mean 'frames'"):
        build(town, tmp_path / "e", changed(frame=3))


def test_starts_over_bare_ground_are_given_up(tmp_path):
    """A house at each end of a kilometre: most surveys see none, and are not begun."""
    for number, x in enumerate((-500, 500)):
        write(tmp_path / "mesh" / f"bldg_{number}.obj", box_obj((x - 10, -10, 0), (x + 10, 10, 8)))
    write(tmp_path / "mesh" / "ground.obj", box_obj((-600, -60, 0), (600, 60, 1), ["1 2 3 4"]))
    own = changed(kinds=["survey"], sessions=1, frames=60, max_empty_share=0.1)
    (folder,) = build(tmp_path / "mesh", tmp_path / "out", own)
    counts = json.loads((folder / "session.json").read_text())["counts"]
    assert counts["without_built"] <= 6 and counts["starts_given_up"] > 5
    few = {**own, "sessions": {**own["sessions"], "tries": 1}}
    with pytest.raises(UserError, match=r"\(survey\): 7 of the first \d+ frames have no cell of 'building'"):
        build(tmp_path / "mesh", tmp_path / "few", few)
