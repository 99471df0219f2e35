"""Windows of the world model: readers on folders made by hand, bad input, splits by place, the proof."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from world_sessions import BUILDING, DATA, DT, SHAPE, grid_at, pose_json, write_session, write_sessions

from scripts.aerial.world import curate, poses, windows
from scripts.aerial.world.dataset import load_dataset
from scripts.aerial.world.frames import merge_table, merged_grid
from scripts.aerial.world.options import WorldDataOptions
from scripts.aerial.world.readers import occ3d, uavscenes
from scripts.aerial.world.sessions import BadFrame, Frame, Session, numbered
from scripts.lib.cli import UserError

OPTIONS = WorldDataOptions.parse(DATA)


def cut_into(root, out, **over):
    """Runs the stage; returns its stats."""
    params = json.dumps(DATA | over)
    curate.main(curate.parser().parse_args(["--input", str(root), "--out", str(out), "--params", params]))
    return json.loads((out / "stats.json").read_text())


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_sessions(tmp_path_factory.mktemp("raw") / "city", count=8, frames=12)


def rows_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


# --- poses -----------------------------------------------------------------------------------------------------------


def test_quaternion_order_is_the_one_that_is_named():
    pose = poses.pose_from_json(pose_json((1, 2, 3), np.pi / 2, (4, 5, 6), (7, 8, 9)))
    half = np.sqrt(0.5)
    assert poses.QUATERNION_ORDER == "xyzw"
    np.testing.assert_allclose(pose, [1, 2, 3, 0, 0, half, half, 4, 5, 6, 7, 8, 9], atol=1e-12)
    assert [poses.POSE_FIELDS[at] for at in range(3, 7)] == ["qx", "qy", "qz", "qw"]
    np.testing.assert_allclose(poses.pose_from_wxyz([1, 2, 3], [half, 0, 0, half])[:7], pose[:7])
    assert poses.yaw(pose) == pytest.approx(np.pi / 2)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda pose: pose.pop("orientation"), "key 'orientation' is missing"),
        (lambda pose: pose["orientation"].update(w=3.0), "quaternion .order xyzw. has length"),
        (lambda pose: pose["position"].update(x=float("nan")), "x is not finite"),
        (lambda pose: pose["position"].update(y=1e9), "m from the origin"),
        (lambda pose: pose["velocity"].update(linear="fast"), "a number was expected"),
    ],
)
def test_bad_poses_are_named(change, said):
    pose = pose_json((0, 0, 5), 0.3)
    change(pose)
    with pytest.raises(poses.BadPose, match=said):
        poses.checked(poses.pose_from_json(pose), 1e-3)


def test_errors_of_poses_are_metres_and_degrees_and_know_no_sign_of_a_quaternion():
    one = poses.pose_from_json(pose_json((0, 0, 0), 0.0))
    other = poses.pose_from_json(pose_json((3, 4, 0), np.radians(30)))
    flipped = other.copy()
    flipped[poses.QUATERNION] *= -1
    assert poses.position_error(one, other) == pytest.approx(5)
    assert poses.orientation_error(one, other) == pytest.approx(30)
    assert poses.orientation_error(one, flipped) == pytest.approx(30)


def test_constant_velocity_goes_on_along_a_circle():
    """Ten degrees and a metre a step, seen from the vehicle: the poses close the circle after 36."""
    first = poses.pose_from_json(pose_json((0, 0, 5), 0))
    step = np.array([1, 0, 0, 0, 0, np.radians(10)])
    circle = np.concatenate([first[None], poses.rollout(first, np.repeat(step[None], 36, 0), DT)])
    np.testing.assert_allclose(circle[36][:3], first[:3], atol=1e-9)
    said = poses.constant_velocity(circle[:2], 5, DT)
    np.testing.assert_allclose(poses.position_error(circle[2:7], said), 0, atol=1e-9)
    np.testing.assert_allclose(poses.motions(circle[:3]), [step, step], atol=1e-9)


def test_features_do_not_depend_on_where_the_city_stands():
    first = poses.pose_from_json(pose_json((0, 0, 5), 0.2, (1, 0, 0), (0, 0, 0.1)))
    path = np.concatenate([first[None], poses.rollout(first, np.array([[1, 0, 0.5, 0.1, 0, 0.2]] * 3), DT)])
    far = path.copy()
    far[:, :3] += [-8234.5, -37036.25, 100]
    np.testing.assert_allclose(poses.features(path, 0.4), poses.features(far, 0.4), atol=1e-4)
    row = poses.features(path, 0.4)[1]
    np.testing.assert_allclose(row[:3], np.array([1, 0, 0.5]) / 0.4, atol=1e-5)
    np.testing.assert_allclose(Rotation.from_quat(row[3:7]).as_rotvec(), [0.1, 0, 0.2], atol=1e-5)
    np.testing.assert_allclose(row[10:], [0.1, 0, 0.2], atol=1e-5)


def test_recorded_velocities_cannot_tell_the_next_pose():
    """Central differences do: with the last motion they give the next one exactly."""
    first = poses.pose_from_json(pose_json((0, 0, 5), 0.2))
    path = np.concatenate([first[None], poses.rollout(first, np.array([[1, 0, 0.5, 0.1, 0, 0.2]] * 3), DT)])
    told = path.copy()
    told[:, 7:] = np.random.default_rng(1).normal(size=(4, 6))
    np.testing.assert_array_equal(poses.features(path, 0.4), poses.features(told, 0.4))
    np.testing.assert_array_equal(poses.features(path, 0.4)[:3], poses.features(path[:3], 0.4))


# --- the project's own layout, and what is wrong with it -------------------------------------------------------------


def test_windows_hold_what_the_session_holds(root, tmp_path):
    stats = cut_into(root, tmp_path)
    assert stats["frames"] == {"read": 96, "used": 96, "quarantined": 0}
    assert sum(stats["windows"].values()) + sum(stats["windows_dropped"].values()) == 8 * 3
    data = load_dataset(tmp_path / "train.jsonl", root)
    row, sample = data.rows[0], data.sample(0)
    assert sample["grids"].shape == (10, *SHAPE)
    with np.load(root / row.frames[4]) as arrays:
        assert np.array_equal(sample["grids"][4], arrays["occupancy"])
    assert sample["motion"].shape == (10, 13)
    assert sample["steps"].shape == (9, 6)
    np.testing.assert_allclose(sample["motion"][1:, :3], sample["steps"][:, :3], atol=1e-6)  # voxels of a metre
    told = json.loads((tmp_path / "dataset.json").read_text())
    assert told["quaternion_order"] == "xyzw"
    assert stats["classes"]["ground"] == pytest.approx(1 / 8, abs=0.05)


def test_windows_of_val_and_test_are_thinned_and_the_rest_is_counted(root, tmp_path):
    every = cut_into(root, tmp_path / "all")
    few = cut_into(root, tmp_path / "few", split=DATA["split"] | {"max_per_split": 2})
    assert few["windows"] == {"train": every["windows"]["train"], "val": 2, "test": 2}
    assert few["thinned_out"] == {side: every["windows"][side] - few["windows"][side] for side in few["windows"]}
    assert sum(few["thinned_out"].values()) > 0
    assert len(rows_of(tmp_path / "few" / "test.jsonl")) == 2


def test_frames_missing_in_a_row_are_named_and_broken_windows_counted(root, tmp_path):
    holed = write_sessions(tmp_path / "city", count=6, frames=14)
    name = "drone_20260101_000002"
    for number in (11, 12):
        (holed / name / "occupancy" / f"{number:06d}_occupancy.npz").unlink()
        (holed / name / "poses" / f"{number:06d}.json").unlink()
    stats = cut_into(holed, tmp_path / "out")
    assert stats["missing_in_a_row"] == [f"{name}: frames 11 to 12 are missing"]
    assert stats["windows_dropped"]["frames missing in a row"] == 3
    rows = [row for split in ("train", "val", "test") for row in rows_of(tmp_path / "out" / f"{split}.jsonl")]
    starts = [int(row["id"][-6:]) for row in rows if name in row["id"]]
    assert starts and max(starts) < 2


def test_bad_frames_are_quarantined_with_file_and_reason_and_the_rest_goes_on(tmp_path):
    bad = write_sessions(tmp_path / "city", count=6, frames=14)
    session = bad / "drone_20260101_000001"
    occupancy, pose = session / "occupancy", session / "poses"
    np.savez_compressed(occupancy / "000000_occupancy.npz", occupancy=np.zeros((4, 4, 4), np.uint8))
    np.savez_compressed(occupancy / "000001_occupancy.npz", grid=np.zeros(SHAPE, np.uint8))
    (occupancy / "000002_occupancy.npz").write_bytes(b"PK not a zip")
    np.savez_compressed(occupancy / "000003_occupancy.npz", occupancy=np.full(SHAPE, 9, np.uint8))
    np.savez_compressed(occupancy / "000010_occupancy.npz", occupancy=np.zeros(SHAPE, np.float32))
    (pose / "000011.json").write_text(json.dumps(pose_json((0, 0, 0), 0) | {"orientation": dict.fromkeys("xyzw", 1.0)}))
    (pose / "000012.json").write_text("{")
    (pose / "000013.json").unlink()
    stats = cut_into(bad, tmp_path / "out", max_bad_share=0.5)
    found = {row["file"].split("/", 1)[1]: row["message"] for row in rows_of(tmp_path / "out" / "quarantine.jsonl")}
    expected = {
        "occupancy/000000_occupancy.npz": "shape (4, 4, 4), but data.grid gives (16, 16, 8)",
        "occupancy/000001_occupancy.npz": "no array 'occupancy', only grid",
        "occupancy/000002_occupancy.npz": "cannot be read as .npz",
        "occupancy/000003_occupancy.npz": "class number 9 is in neither",
        "occupancy/000010_occupancy.npz": "expected class numbers in uint8",
        "poses/000011.json": "has length 2, not 1",
        "poses/000012.json": "not valid JSON",
        "occupancy/000013_occupancy.npz": "poses/000013.json is missing",
    }
    assert found.keys() == expected.keys()
    for name, words in expected.items():
        assert words in found[name]
    assert stats["frames"] == {"read": 84, "used": 76, "quarantined": 8}
    with pytest.raises(UserError, match=r"8 of 84 frames are bad, more than data\.max_bad_share 0\.05: drone_"):
        cut_into(bad, tmp_path / "no", max_bad_share=0.05)
    assert not (tmp_path / "no").exists()


def test_a_folder_without_sessions_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="no frame of the layout 'session'"):
        cut_into(tmp_path, tmp_path / "out")
    with pytest.raises(UserError, match="no such folder; generate sessions first"):
        cut_into(tmp_path / "nowhere", tmp_path / "out")


def test_classes_are_merged_by_number():
    classes = OPTIONS.classes.model_copy(update={"names": ["free", "ground", "thing"], "merge": {7: 2, 2: 1}})
    grid = np.array([[[0, 1, 2, 7]]], np.uint8)
    assert merged_grid(grid, merge_table(classes)).tolist() == [[[0, 1, 1, 2]]]
    with pytest.raises(BadFrame, match="class number 5 is in neither"):
        merged_grid(np.array([[[5]]], np.uint8), merge_table(classes))


def test_the_grid_of_121_and_a_half_cells_has_121():
    grid = WorldDataOptions().grid
    assert grid.shape == (200, 200, 121)
    assert grid.range[5] - grid.range[2] - 121 * grid.voxel[2] == pytest.approx(0.75)


# --- split by place --------------------------------------------------------------------------------------------------


def frame_at(number, x, y):
    pose = poses.pose_from_json(pose_json((x, y, 5), 0))
    return Frame(number, f"{number}", pose, number * DT)


def line_of(name, start, count=80, step=2.0):
    """A flight along x."""
    return Session(name, "city", [frame_at(at, start + step * at, 0) for at in range(count)])


def with_split(**over):
    split = OPTIONS.split.model_copy(update={"block": 40.0, "buffer": 10.0} | over)
    return OPTIONS.model_copy(update={"split": split})


def test_a_flight_through_many_squares_leaves_a_buffer_between_splits():
    options = with_split()
    found = windows.cut([line_of("a", 0, 200)], options)
    assert found.dropped["touch the buffer"] > 0
    assert sum(map(len, found.splits.values())) + sum(found.dropped.values()) == 191
    spots = {
        split: {frame.number for window in rows for frame in window.frames} for split, rows in found.splits.items()
    }
    for one, other in (("train", "test"), ("train", "val"), ("val", "test")):
        assert min(abs(a - b) for a in spots[one] for b in spots[other]) * 2.0 >= 10.0
    proof = windows.prove(found.splits, 10.0)
    assert all(value >= 10.0 for value in proof.values())


def test_windows_of_a_split_lie_in_squares_of_that_split():
    options = with_split()
    found = windows.cut([line_of("a", 0, 200)], options)
    squares = {
        split: {windows.block_of("city", frame, 40.0) for window in rows for frame in window.frames}
        for split, rows in found.splits.items()
    }
    assert not squares["train"] & squares["test"]
    assert not squares["train"] & squares["val"]


def test_the_proof_fails_the_build_where_a_train_frame_lies_in_the_buffer():
    found = windows.cut([line_of("a", 0, 200)], with_split())
    test = found.splits["test"][0]
    near = replace(test.frames[0], pose=test.frames[0].pose + np.array([6.0, 0, 0, *[0] * 10]))
    spoiled = replace(found.splits["train"][0], frames=(near, *found.splits["train"][0].frames[1:]))
    with pytest.raises(UserError, match=r"leakage: 1 near pairs .*\(train\) and .*\(test\), \d\.\d\d m apart"):
        windows.prove({**found.splits, "train": [spoiled]}, 10.0)


def test_the_stage_stops_before_it_writes_where_the_proof_fails(root, tmp_path, monkeypatch):
    monkeypatch.setattr(windows, "outside_buffer", lambda spots, sides, buffer: np.ones(len(spots), bool))
    with pytest.raises(UserError, match="leakage"):
        cut_into(root, tmp_path / "out", split=DATA["split"] | {"buffer": 500.0})
    assert not (tmp_path / "out").exists()


def test_places_do_not_see_each_other():
    """The same coordinates on another map are no leak."""
    sessions = [replace(line_of(name, 0, 60), place=name) for name in ("a", "b", "c", "d")]
    found = windows.cut(sessions, with_split(block=500.0))
    assert windows.prove(found.splits, 10.0) == {"train to test": None, "train to val": None, "val to test": None}


def test_a_buffer_that_leaves_nothing_says_so():
    with pytest.raises(UserError, match=r"has no window of 10 frames \(dropped: .*lower data\.split\.buffer"):
        windows.cut([line_of("a", 0, 90)], with_split(buffer=500.0))


def test_adding_a_flight_moves_no_other_one():
    options = with_split(block=10.0)  # squares enough that no split has to be given one
    one = windows.side_of_squares([line_of("a", 0, 200)], options.split)
    two = windows.side_of_squares([line_of("a", 0, 200), line_of("b", 1000, 100)], options.split)
    assert {key: two[key] for key in one} == one


# --- other people's layouts ------------------------------------------------------------------------------------------


def occ3d_folder(root: Path, scenes=4, frames=12) -> WorldDataOptions:
    """Occ3D's layout, as its authors write it."""
    infos = {}
    for scene in range(scenes):
        rows = {}
        for at in range(frames):
            token = f"{scene:02d}{at:030d}"
            folder = root / "gts" / f"scene-{scene:04d}" / token
            folder.mkdir(parents=True)
            grid = np.full(SHAPE, 17, np.uint8)
            grid[:, :, 0], grid[at % 16, 3, 2] = 11, 4
            np.savez_compressed(
                folder / "labels.npz", semantics=grid, mask_lidar=grid > 0, mask_camera=np.zeros(SHAPE, np.uint8)
            )
            x, y, z, w = Rotation.from_euler("z", 0.1 * at).as_quat()
            rows[token] = {
                "timestamp": 1533151603547590 + at * 500_000,
                "ego_pose": {"translation": [600 + 100.0 * scene + at, 1600.0, 0.0], "rotation": [w, x, y, z]},
                "gt_path": f"gts/scene-{scene:04d}/{token}/labels.npz",
            }
        infos[f"scene-{scene:04d}"] = dict(reversed(rows.items()))  # the file has them in any order
    (root / "annotations.json").write_text(json.dumps({"train_split": [], "val_split": [], "scene_infos": infos}))
    names = [f"class {number}" for number in range(17)] + ["free"]
    classes = {"names": names, "free": 17, "ground": [11, 12, 13, 14]}
    return WorldDataOptions.parse(DATA | {"layout": "occ3d", "classes": classes})


def test_occ3d_folders_are_read_in_time_with_velocities(tmp_path):
    options = occ3d_folder(tmp_path)
    refused = []
    sessions = list(occ3d.sessions(tmp_path, options, refused))
    assert [len(session.frames) for session in sessions] == [12] * 4
    frame = sessions[1].frames[3]
    assert [one.number for one in sessions[0].frames] == list(range(12))
    np.testing.assert_allclose(frame.pose[:3], [703, 1600, 0])
    assert poses.yaw(frame.pose) == pytest.approx(0.3)
    np.testing.assert_allclose(frame.pose[7:], [2, 0, 0, 0, 0, 0.2], atol=1e-6)  # 1 m and 0.1 rad in half a second
    assert (occ3d.grid(tmp_path / frame.file, frame.pose, options) == 4).sum() == 1
    assert not refused


def test_occ3d_goes_through_the_whole_stage(tmp_path):
    options = occ3d_folder(tmp_path / "nuscenes")
    cut_into(tmp_path / "nuscenes", tmp_path / "out", layout="occ3d", classes=options.classes.model_dump())
    row = rows_of(tmp_path / "out" / "train.jsonl")[0]
    assert row["dt"] == 0.5
    sample = load_dataset(tmp_path / "out" / "train.jsonl", tmp_path / "nuscenes").sample(0)
    assert set(np.unique(sample["grids"])) == {4, 11, 17}


def test_occ3d_names_bad_rows_and_refuses_paths_that_leave_the_folder(tmp_path):
    options = occ3d_folder(tmp_path)
    told = json.loads((tmp_path / "annotations.json").read_text())
    tokens = list(told["scene_infos"]["scene-0000"].values())
    tokens[0]["gt_path"] = "../../etc/labels.npz"
    tokens[1]["ego_pose"]["rotation"] = [1, 1, 1, 1]
    del tokens[2]["timestamp"]
    (tmp_path / "annotations.json").write_text(json.dumps(told))
    refused = []
    assert len(next(occ3d.sessions(tmp_path, options, refused)).frames) == 9
    reasons = " | ".join(row["message"] for row in refused)
    assert all(words in reasons for words in ("leaves", "length 2, not 1", "timestamp"))
    assert all(row["row"].startswith("scene-0000.") for row in refused)


def uavscenes_folder(root: Path, frames=4) -> Path:
    """A run of UAVScenes: poses of a camera that looks down, labelled points of a LiDAR that sits on it."""
    folder = root / "interval5_AMtown01"
    points_folder = folder / "interval5_LIDAR"
    labels_folder = folder / "interval5_LIDAR_label" / "interval5_LIDAR_label_id"
    points_folder.mkdir(parents=True)
    labels_folder.mkdir(parents=True)
    rows = []
    for at in range(frames):
        time = f"{1658137057.0 + at * 0.5:.6f}"
        matrix = np.eye(4)
        matrix[:3, :3] = [[1, 0, 0], [0, -1, 0], [0, 0, -1]]  # x stays, the view is downwards
        matrix[:3, 3] = [100 + at, 50, 6]
        rows.append({"OriginalImageName": f"{time}.jpg", "T4x4": matrix.tolist()})
        # One point 5.5 m below the camera (a road), one 2.5 m below and 3.5 m to its right (a roof), one far away.
        camera = np.array([[0.2, 0.2, 5.5], [3.5, 0.2, 2.5], [500, 0, 5]])
        lidar = camera @ np.array([[0, -1, 0], [0, 0, -1], [1, 0, 0]])  # the default calibration, turned round
        np.savetxt(points_folder / f"image{time}.txt", np.c_[lidar, [9, 9, 9]])
        np.savetxt(labels_folder / f"image{time}.txt", [3, 1, 0], fmt="%d")
    (folder / "sampleinfos_interpolated.json").write_text(json.dumps(rows))
    return folder


def test_uavscenes_points_fall_into_the_cells_a_person_can_count(tmp_path):
    uavscenes_folder(tmp_path)
    classes = {"names": ["free", "ground", "building", "other"], "merge": {3: 1, 1: 2, 255: 3}}
    options = WorldDataOptions.parse(DATA | {"layout": "uavscenes", "classes": classes})
    refused = []
    [session] = uavscenes.sessions(tmp_path, options, refused)
    assert session.place == "interval5_AMtown"
    assert [frame.number for frame in session.frames] == [0, 1, 2, 3]
    frame = session.frames[2]
    np.testing.assert_allclose(frame.pose[:3], [102, 50, 6])
    np.testing.assert_allclose(frame.pose[7:10], [2, 0, 0], atol=1e-6)
    grid = merged_grid(uavscenes.grid(tmp_path / frame.file, frame.pose, options), merge_table(options.classes))
    # The camera's x is the world's, its y is turned over: 0.2 m along it is -0.2 m in the world. z is absolute.
    expected = {(8, 7, 0): 1, (11, 7, 3): 2}
    assert {tuple(cell): int(grid[tuple(cell)]) for cell in np.argwhere(grid).tolist()} == expected


def test_uavscenes_names_what_is_missing(tmp_path):
    folder = uavscenes_folder(tmp_path)
    rows = json.loads((folder / "sampleinfos_interpolated.json").read_text())
    rows[0]["T4x4"][0][0] = 2.0
    rows[1]["OriginalImageName"] = "first.jpg"
    (folder / "sampleinfos_interpolated.json").write_text(json.dumps(rows))
    next((folder / "interval5_LIDAR").glob("*58.000000.txt")).unlink()
    next((folder / "interval5_LIDAR_label").rglob("*58.500000.txt")).unlink()
    options = WorldDataOptions.parse(DATA | {"layout": "uavscenes"})
    refused = []
    [session] = uavscenes.sessions(tmp_path, options, refused)
    reasons = [row["message"] for row in refused]
    assert [words in reason for words, reason in zip(("no rotation", "no time", "no points"), reasons, strict=True)]
    with pytest.raises(BadFrame, match="no labels"):
        uavscenes.grid(tmp_path / session.frames[0].file, session.frames[0].pose, options)


def test_times_become_numbers_with_room_for_what_is_missing():
    assert numbered([0.0, 0.5, 1.01, 2.0, 2.5]) == [0, 1, 2, 4, 5]
    with pytest.raises(BadFrame, match="stands twice"):
        numbered([0.0, 0.5, 0.5])


def test_a_session_written_by_hand_shows_boxes_where_they_stand(tmp_path):
    """The fixture itself: a box 3 m ahead of a vehicle that looks north."""
    grid = grid_at([[0, 3, 1.0, 2.0, 0, 0]], 0, np.array([0, 0, 5.0]), np.pi / 2)
    cells = np.argwhere(grid == BUILDING)
    assert cells.min(0).tolist() == [10, 7, 0]
    assert cells.max(0).tolist() == [11, 8, 1]
    write_session(tmp_path / "s", 1, (0, 0), 3)
    assert len(list((tmp_path / "s" / "poses").iterdir())) == 3
