"""Cells around a pose: counted by hand, turned, and compared with a slow way to the same answer."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from aerial_fixtures import BOX_FACES, EAST, NORTH, box_obj, overlaps, random_triangles, soup, write

from scripts.aerial import generate, voxelize
from scripts.aerial.mesh import closed_shells
from scripts.aerial.meshes import load_mesh
from scripts.aerial.options import AerialGridOptions, AerialMeshOptions, AerialVoxelOptions
from scripts.aerial.poses import Pose, level_pose, read_poses
from scripts.aerial.scene import scene_of
from scripts.aerial.voxels import check_reach, occupancy, to_cells
from scripts.lib.cli import UserError

DEFAULT = AerialVoxelOptions()
GROUND, TREE, BUILDING = 1, 2, 3
# relative to the pose: x 4.2 to 8.2 m are cells 110 to 120, y -1 to 1 m cells 97 to 102, z 0 to 5 m cells 1 to 5
LOW, HIGH = (4.2, -1.0, 0.0), (8.2, 1.0, 5.0)
HERE = (EAST, NORTH, 30.0)


def scene_from(tmp_path, **files):
    """A scene of OBJ texts by file name."""
    for name, text in files.items():
        write(tmp_path / "mesh" / f"{name}.obj", text)
    return scene_of(load_mesh([tmp_path / "mesh"], AerialMeshOptions())[0])


def voxels(**grid):
    return AerialVoxelOptions(grid=AerialGridOptions(**grid))


def extent(grid):
    """First and last occupied cell along each axis."""
    found = np.argwhere(grid)
    return found.min(axis=0).tolist(), found.max(axis=0).tolist()


def test_a_box_has_the_cells_that_a_person_counts(tmp_path):
    scene = scene_from(tmp_path, building=box_obj(LOW, HIGH))
    frame = occupancy(scene, level_pose(HERE), DEFAULT)
    assert frame.grid.shape == (200, 200, 121) and frame.grid.dtype == np.uint8
    assert extent(frame.grid) == ([110, 97, 1], [120, 102, 5])
    assert np.count_nonzero(frame.grid) == 11 * 6 * 5 - 9 * 4 * 3  # a shell one cell thick
    assert (frame.grid[111:120, 98:102, 2:5] == 0).all()
    assert set(np.unique(frame.grid)) == {0, BUILDING}
    assert frame.counts[BUILDING] == frame.occupied == 222 and frame.counts[0] == 200 * 200 * 121 - 222


def test_what_lies_along_the_heading_is_ahead(tmp_path):
    """A pose that looks north (yaw 90 degrees, right-hand rule) has the house in the north ahead of it."""
    scene = scene_from(tmp_path, building=box_obj((-1.0, 4.2, 0.0), (1.0, 8.2, 5.0)))
    frame = occupancy(scene, level_pose(HERE, math.pi / 2), DEFAULT)
    assert extent(frame.grid) == ([110, 97, 1], [120, 102, 5])
    west = occupancy(scene, level_pose(HERE, math.pi), DEFAULT)  # looking west, north is on the right: y < 0
    assert extent(west.grid)[1][1] < 100


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_pose_has_the_turned_grid(turns):
    scene = scene_of(soup(random_triangles(150, seed=turns)))
    straight = occupancy(scene, level_pose(HERE), DEFAULT).grid
    turned = occupancy(scene, level_pose(HERE, turns * math.pi / 2), DEFAULT).grid
    np.testing.assert_array_equal(turned, np.rot90(straight, -turns))
    assert straight.any()


def test_a_turned_scene_has_the_turned_grid_to_the_other_side():
    triangles = random_triangles(150, seed=5)
    moved = triangles - HERE
    moved = np.stack([-moved[..., 1], moved[..., 0], moved[..., 2]], axis=-1) + HERE  # 90 degrees anticlockwise
    straight, turned = (occupancy(scene_of(soup(one)), level_pose(HERE), DEFAULT).grid for one in (triangles, moved))
    np.testing.assert_array_equal(turned, np.rot90(straight, 1))


def test_rotation_comes_before_the_crop(tmp_path):
    """Ahead of a pose that looks north-east, a corner of the turned grid reaches where no level one does."""
    scene = scene_from(tmp_path, building=box_obj((-1, 52, 0), (1, 54, 5)))
    assert not occupancy(scene, level_pose(HERE), DEFAULT).grid.any()
    assert occupancy(scene, level_pose(HERE, math.pi / 4), DEFAULT).grid.any()


@pytest.mark.parametrize("yaw", [0.0, 0.7, -2.1])
def test_cells_equal_those_of_the_separating_axis_test(yaw):
    options = AerialVoxelOptions(grid=AerialGridOptions(range=(-16, -16, -2, 16, 16, 38)))
    triangles = random_triangles(147, seed=11)
    pose = level_pose((EAST + 1.3, NORTH - 2.9, 50.0), yaw)
    frame = occupancy(scene_of(soup(triangles)), pose, options)
    turn = np.array([[math.cos(yaw), math.sin(yaw), 0], [-math.sin(yaw), math.cos(yaw), 0], [0, 0, 1]])
    ego = (triangles - [EAST + 1.3, NORTH - 2.9, 0.0]) @ turn.T
    low, size = np.array([-16.0, -16, -2]), np.array([0.4, 0.4, 1.25])
    wanted, certain = np.zeros(frame.grid.shape, bool), np.zeros(frame.grid.shape, bool)
    for triangle in ego:
        wanted |= overlaps(triangle, low, size, wanted.shape, 2 * options.tolerance)
        certain |= overlaps(triangle, low, size, wanted.shape, 0.0)
    found = frame.grid > 0
    assert not (certain & ~found).any() and not (found & ~wanted).any()
    assert found.sum() > 5000


def test_cells_of_a_city_equal_those_of_the_separating_axis_test(tmp_path):
    """Houses, ground and trees as a person would have them, each class by itself, the highest in each cell."""
    params = json.dumps({"size": 240, "seed": 3, "block": 60})
    generate.main(generate.parser().parse_args(["--out", str(tmp_path), "--params", params]))
    mesh, _ = load_mesh([tmp_path], AerialMeshOptions())
    trees = mesh.vertices[mesh.triangles[mesh.classes == TREE]].mean(axis=1)
    pose = level_pose((*trees[np.linalg.norm(trees - mesh.bounds.mean(axis=0), axis=1).argmin()][:2], 20.0), 0.4)
    options = AerialVoxelOptions(grid=AerialGridOptions(range=(-14, -14, -2, 14, 14, 48)))
    frame = occupancy(scene_of(mesh), pose, options)
    turn = np.array([[math.cos(0.4), math.sin(0.4), 0], [-math.sin(0.4), math.cos(0.4), 0], [0, 0, 1]])
    ego = (mesh.vertices[mesh.triangles] - [*pose.position[:2], 0.0]) @ turn.T
    near = ((ego.max(axis=1) >= [-14, -14, -2]) & (ego.min(axis=1) <= [14, 14, 48])).all(axis=1)
    low, size = np.array([-14.0, -14, -2]), np.array([0.4, 0.4, 1.25])
    least, most = np.zeros(frame.grid.shape, np.uint8), np.zeros(frame.grid.shape, np.uint8)
    for triangle, number in zip(ego[near], mesh.classes[near], strict=True):
        for grid, grown in ((least, 0.0), (most, 2 * options.tolerance)):
            np.maximum(grid, number * overlaps(triangle, low, size, grid.shape, grown), out=grid)
    assert near.sum() > 50 and (np.bincount(least.ravel(), minlength=4)[1:] > 50).all()
    assert (frame.grid >= least).all() and (frame.grid <= most).all()


def test_heights_are_the_worlds_or_the_poses_own(tmp_path):
    scene = scene_from(tmp_path, building=box_obj(LOW, HIGH))
    high = level_pose((EAST, NORTH, 100.0))
    absolute = occupancy(scene, high, DEFAULT).grid
    np.testing.assert_array_equal(absolute, occupancy(scene, level_pose(HERE), DEFAULT).grid)
    assert not occupancy(scene, high, voxels(heights="relative")).grid.any()  # 95 m below, the grid begins at -2
    near = occupancy(scene, level_pose((EAST, NORTH, 1.25)), voxels(heights="relative")).grid
    assert extent(near)[0][2] == 0 and extent(near)[1][2] == 4  # all a cell lower
    lower = occupancy(scene, high, voxels(datum=-12.5)).grid
    assert extent(lower)[0][2] == 11  # z = 12.5 m above the datum


def test_a_tilted_pose_tilts_only_a_grid_that_may(tmp_path):
    scene = scene_from(tmp_path, building=box_obj(LOW, HIGH))
    pitch = np.array([0.0, math.sin(-0.2), 0.0, math.cos(-0.2)])  # nose up by 0.4
    pose = Pose("000000", np.array([EAST, NORTH, 1.0]), pitch)
    assert pose.yaw == pytest.approx(0)
    level = occupancy(scene, level_pose((EAST, NORTH, 1.0)), voxels(heights="relative")).grid
    np.testing.assert_array_equal(occupancy(scene, pose, voxels(heights="relative")).grid, level)
    tilted = occupancy(scene, pose, voxels(heights="relative", rotation="full")).grid
    assert extent(tilted)[1][2] < extent(level)[1][2]  # what is ahead sinks when the nose goes up
    with pytest.raises(ValueError, match="full needs heights relative"):
        AerialGridOptions(rotation="full")


def test_the_rest_at_the_top_is_dropped_or_gets_a_cell_of_its_own(tmp_path):
    """The range is 152 m high, 121.6 cells of 1.25 m."""
    scene = scene_from(tmp_path, building=box_obj((4.2, -1, 149.4), (8.2, 1, 149.9)))
    assert AerialGridOptions().shape == (200, 200, 121)
    assert AerialGridOptions(top="extend").shape == (200, 200, 122)
    assert not occupancy(scene, level_pose(HERE), DEFAULT).grid.any()
    extended = occupancy(scene, level_pose(HERE), voxels(top="extend")).grid
    assert extent(extended) == ([110, 97, 121], [120, 102, 121])
    assert AerialGridOptions(range=(-40, -40, -2, 40, 40, 148), top="extend").shape[2] == 120
    with pytest.raises(ValueError, match="whole number of cells"):
        AerialGridOptions(range=(-40, -40, -2, 40.1, 40, 150))


def test_ground_is_a_class_of_its_own_and_a_building_hides_it(tmp_path):
    ground = box_obj((-20, -20, -0.5), (20, 20, -0.4), ["1 2 3 4"])
    scene = scene_from(tmp_path, ground=ground, tree=box_obj((-8, 2, 1), (-6, 4, 3)), bldg=box_obj(LOW, HIGH))
    frame = occupancy(scene, level_pose(HERE), DEFAULT)
    layer = frame.grid[:, :, 1]  # -0.75 to 0.5 m
    assert layer[105, 100] == GROUND and layer[112, 97] == BUILDING and layer[110, 97] == BUILDING
    # 40 m are 100 cells and, as they end on a cell's border, one more on each side
    assert frame.counts[GROUND] == 102 * 102 - 11 * 6
    assert frame.counts[TREE] > 0
    assert not occupancy(scene, level_pose((EAST + 500, NORTH, 30)), DEFAULT).grid.any()  # no ground is made up


def test_closed_shells_are_filled_and_others_are_not(tmp_path):
    low, high = (4.2, 9.0, 0.0), (8.2, 11.0, 5.0)
    without_roof = box_obj(low, high, [face for face in BOX_FACES if face != "5 6 7 8"])
    scene = scene_from(tmp_path, a_building=box_obj(LOW, HIGH), b_building=without_roof)
    hollow = occupancy(scene, level_pose(HERE), DEFAULT)
    filled = occupancy(scene, level_pose(HERE), DEFAULT, frozenset({BUILDING}))
    assert filled.counts[BUILDING] - hollow.counts[BUILDING] == 9 * 4 * 3
    assert (filled.grid[110:121, 97:103, 1:6] == BUILDING).all() and filled.left_out == 0
    assert (filled.grid == BUILDING).sum() == filled.counts[BUILDING]


@pytest.mark.parametrize("yaw", [0.0, 0.6])
def test_shells_that_overlap_fill_their_union(tmp_path, yaw):
    boxes = [((-5.3, -4.1, 0.3), (4.9, 5.7, 20.9)), ((0.2, 0.1, -60.0), (9.7, 8.3, 300.0))]
    texts = {f"building{at}": box_obj(*box) for at, box in enumerate(boxes)}
    scene = scene_from(tmp_path, **texts)
    pose = level_pose(HERE, yaw)
    grid = occupancy(scene, pose, DEFAULT, frozenset({BUILDING})).grid
    matrix, offset = to_cells(pose, DEFAULT.grid)
    middles = np.stack(np.meshgrid(*(np.arange(n) + 0.5 for n in grid.shape), indexing="ij"), axis=-1).reshape(-1, 3)
    world = np.linalg.solve(matrix, (middles - offset).T).T - [EAST, NORTH, 0]
    inside = np.any([((world > low) & (world < high)).all(axis=1) for low, high in boxes], axis=0)
    surface = occupancy(scene, pose, DEFAULT).grid > 0
    np.testing.assert_array_equal(grid > 0, inside.reshape(grid.shape) | surface)


def test_shells_are_told_by_place_not_by_vertex_number():
    box = np.array([[[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 0, 0], [0, 0, 1], [1, 0, 0]]], float)
    tetrahedron = np.concatenate([box, [[[0, 0, 0], [0, 1, 0], [0, 0, 1]], [[1, 0, 0], [0, 0, 1], [0, 1, 0]]]])
    both = np.concatenate([tetrahedron, tetrahedron[:3] + 5.0])
    shells = closed_shells(soup(both))
    assert len(set(shells[:4])) == 1 and shells[0] >= 0
    assert (shells[4:] == -1).all()


def poses_file(path, *positions, **changes):
    """JSON lines as another program would write them."""
    rows = [
        {"position": dict(zip("xyz", place, strict=True)), "orientation": {"w": 1, "x": 0, "y": 0, "z": 0}} | changes
        for place in positions
    ]
    return write(path, "".join(json.dumps(row) + "\n" for row in rows))


def run_voxelize(tmp_path, poses, *more):
    arguments = ["--mesh", str(tmp_path / "mesh"), "--poses", str(poses), "--out", str(tmp_path / "out"), *more]
    return voxelize.main(voxelize.parser().parse_args(arguments))


def test_the_command_writes_the_session_layout(tmp_path, capsys):
    write(tmp_path / "mesh/building.obj", box_obj(LOW, HIGH))
    session = tmp_path / "drone_20240101_000000"
    pose = level_pose(HERE, 0.0)
    for frame in ("000000", "000001"):
        write(session / f"poses/{frame}.json", json.dumps(pose.to_json()))
    run_voxelize(tmp_path, session)
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "000000  ground 0  tree 0  building 222  occupied 222"
    assert said[-1].startswith("2 frames of 200×200×121 cells; mean a frame: ground 0, tree 0, building 222;")
    with np.load(tmp_path / "out/occupancy/000001_occupancy.npz") as found:
        assert found["occupancy"].shape == (200, 200, 121) and found["occupancy"].dtype == np.uint8
        assert np.count_nonzero(found["occupancy"] == BUILDING) == 222
    listed = json.loads((tmp_path / "out/voxels.json").read_text())
    assert listed["classes"] == {"free": 0, "ground": 1, "tree": 2, "building": 3}
    assert [file["name"] for file in listed["files"]] == [f"occupancy/00000{n}_occupancy.npz" for n in range(2)]
    first = (tmp_path / "out/occupancy/000000_occupancy.npz").read_bytes()
    run_voxelize(tmp_path, session)
    assert (tmp_path / "out/occupancy/000000_occupancy.npz").read_bytes() == first


def test_bad_poses_are_set_aside_and_named(tmp_path, capsys):
    write(tmp_path / "mesh/building.obj", box_obj(LOW, HIGH))
    good = level_pose(HERE).to_json()
    bad = {"orientation": {"x": 0, "y": 0, "z": 0, "w": 2}}, {"position": {"x": 1, "y": 2}}
    lines = [good, good | bad[0], good | bad[1], {"position": {"x": float("nan"), "y": 0, "z": 0}} | bad[0]]
    poses = write(tmp_path / "poses.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    found, faults = read_poses(poses)
    assert [pose.frame for pose in found] == ["000000"]
    assert [(fault.kind, fault.lines) for fault in faults] == [
        ("quaternion", (2,)),
        ("pose", (3,)),
        ("not_finite", (4,)),
    ]
    run_voxelize(tmp_path, poses)
    assert "poses.jsonl, line 2: quaternion: orientation has length 2" in capsys.readouterr().err
    counted = json.loads((tmp_path / "out/voxels.json").read_text())
    assert [fault["kind"] for fault in counted["faults"]] == ["quaternion", "pose", "not_finite"]


def test_missing_frames_and_broken_files_are_named(tmp_path):
    good = json.dumps(level_pose(HERE).to_json())
    for frame in ("000000", "000004"):
        write(tmp_path / f"poses/{frame}.json", good)
    write(tmp_path / "poses/000001.json", good[:-9])
    found, faults = read_poses(tmp_path)
    assert [pose.frame for pose in found] == ["000000", "000004"]
    assert [fault.kind for fault in faults] == ["missing_frames", "json"]
    assert "2 frames are missing between 000000 and 000004, the first is 000002" in faults[0].message
    write(tmp_path / "none/000000.json", "{}")
    with pytest.raises(UserError, match="no pose that can be used"):
        read_poses(tmp_path / "none")


def test_poses_of_another_coordinate_system_are_refused(tmp_path):
    scene = scene_from(tmp_path, building=box_obj(LOW, HIGH))
    far, near = level_pose((EAST + 1e7, NORTH, 30)), level_pose(HERE)
    check_reach(scene, [far, near], DEFAULT)
    with pytest.raises(UserError, match=r"lie 10,000 km apart at least .* give both in the same coordinate system"):
        check_reach(scene, [far], DEFAULT)


def test_unknown_classes_and_poses_that_are_not_there_are_told(tmp_path):
    write(tmp_path / "mesh/building.obj", box_obj(LOW, HIGH))
    poses = poses_file(tmp_path / "poses.jsonl", HERE)
    with pytest.raises(UserError, match="'house' is none of the classes ground, tree, building"):
        run_voxelize(tmp_path, poses, "--params", '{"voxels": {"solid": ["house"]}}')
    with pytest.raises(UserError, match="no such file"):
        run_voxelize(tmp_path, tmp_path / "nowhere.jsonl")
