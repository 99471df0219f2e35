"""Velocities, lidar and pictures, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from aerial_fixtures import EAST, NORTH, box_obj, soup, write
from scipy.spatial.transform import Rotation

from scripts.aerial.lidar import beam_directions, measure
from scripts.aerial.meshes import load_mesh
from scripts.aerial.motion import velocities
from scripts.aerial.options import AerialMeshOptions, CameraOptions, LidarOptions
from scripts.aerial.paths.drone import lines_over
from scripts.aerial.picture import HORIZON, camera_of, class_colours, photograph
from scripts.aerial.poses import Pose, level_pose
from scripts.aerial.scene import scene_of

HERE = np.array([EAST, NORTH, 20.0])


@pytest.fixture
def wall():
    """A wall 10 m east of here, 400 m wide and high."""
    a, b, c, d = (HERE + np.array([10, y, z]) for y, z in ((-200, -200), (200, -200), (200, 200), (-200, 200)))
    return scene_of(soup(np.array([[a, b, c], [a, c, d]])))


def test_velocities_on_a_circle():
    """20 m, 0.1 rad a frame of 0.5 s: 0.2 rad/s; the chord over two frames is 2 · 20 · sin 0.1 m long."""
    angles = 0.1 * np.arange(6)
    places = 20 * np.column_stack([np.cos(angles), np.sin(angles), 0 * angles]) + HERE
    turns = Rotation.from_euler("z", (angles + math.pi / 2)[:, None]).as_quat()
    linear, angular = velocities(places, turns, 0.5)
    inside = 40 * math.sin(0.1)  # m/s over 1 s
    np.testing.assert_allclose(linear[2], [-inside * math.sin(0.2), inside * math.cos(0.2), 0], atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(linear[[0, 5]], axis=1), 80 * math.sin(0.05))  # one chord over 0.5 s
    np.testing.assert_allclose(angular, np.tile([0, 0, 0.2], (6, 1)), atol=1e-12)


def test_angular_velocity_is_the_worlds():
    """A body that lies on its side and is turned about the world's vertical."""
    side = Rotation.from_euler("x", 90, degrees=True)
    turns = [(Rotation.from_euler("z", 0.3 * step) * side).as_quat() for step in range(3)]
    _, angular = velocities(np.zeros((3, 3)), np.array(turns), 0.1)
    np.testing.assert_allclose(angular, np.tile([0, 0, 3.0], (3, 1)), atol=1e-9)
    flipped = np.array(turns) * [[1], [-1], [1]]  # the same orientations
    np.testing.assert_allclose(velocities(np.zeros((3, 3)), flipped, 0.1)[1], angular, atol=1e-9)


def test_a_single_frame_rests():
    linear, angular = velocities(np.ones((1, 3)), np.array([[0, 0, 0, 1.0]]), 0.5)
    assert not linear.any() and not angular.any()


@pytest.mark.parametrize("yaw", [0.0, math.pi / 6, -1.1])
def test_points_of_a_wall_lie_on_it_in_the_bodys_frame(wall, yaw):
    options = LidarOptions(beams=9, azimuths=64)
    points = measure(wall, level_pose(tuple(HERE), yaw), beam_directions(options, "drone"), options)
    assert points.dtype == np.float32 and len(points) > 100
    # the wall's normal is the world's x: turned back by the yaw it is (cos, -sin) in the body's frame
    np.testing.assert_allclose(points[:, 0] * math.cos(yaw) - points[:, 1] * math.sin(yaw), 10, atol=1e-4)


def test_points_of_a_wall_with_a_body_that_rolls_and_pitches(wall):
    turn = Rotation.from_euler("ZYX", [0.7, 0.2, -0.3])
    options = LidarOptions(beams=9, azimuths=64)
    points = measure(wall, Pose("000000", HERE, turn.as_quat()), beam_directions(options, "drone"), options)
    np.testing.assert_allclose(turn.apply(points[:, :3])[:, 0], 10, atol=1e-4)


def test_intensity_falls_with_the_angle_and_the_distance(wall):
    options = LidarOptions(half=10)
    straight, slanted = [1.0, 0, 0], [0.6, 0.8, 0]
    points = measure(wall, level_pose(tuple(HERE)), np.array([straight, slanted, [-1.0, 0, 0]]), options)
    assert len(points) == 2  # the third goes away from the wall
    np.testing.assert_allclose(points[0], [10, 0, 0, 1 / 2], rtol=1e-5)
    np.testing.assert_allclose(points[1], [10, 40 / 3, 0, 0.6 / (1 + (5 / 3) ** 2)], rtol=1e-5)


def test_beams_go_from_the_lowest_to_the_highest():
    found = beam_directions(LidarOptions(beams=3, azimuths=4, rover=(-30, 30)), "rover").reshape(3, 4, 3)
    np.testing.assert_allclose(found[:, 0], [[math.sqrt(0.75), 0, -0.5], [1, 0, 0], [math.sqrt(0.75), 0, 0.5]])
    np.testing.assert_allclose(found[1], [[1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0]], atol=1e-12)


def test_a_picture_has_lit_walls_and_sky_where_nothing_is(tmp_path):
    write(tmp_path / "bldg.obj", box_obj((10, -3, 0), (14, 3, 25)))
    scene = scene_of(load_mesh([tmp_path], AerialMeshOptions())[0])
    camera = camera_of(CameraOptions(width=64, height=36, rover_pitch=0), "rover")
    colours = class_colours(AerialMeshOptions().numbers)
    west = photograph(scene, level_pose((EAST, NORTH, 12)), camera, colours, 1e9)
    east = photograph(scene, level_pose((EAST + 24, NORTH, 12), math.pi), camera, colours, 1e9)
    assert west.shape == (36, 64, 3) and west.dtype == np.uint8
    assert east[18, 32].sum() > 1.3 * west[18, 32].sum()  # the sun stands in the north-east
    assert len(np.unique(west[10:26, 30:34].reshape(-1, 3), axis=0)) == 1  # a wall in one light, no gradient
    assert west[2, 2, 2] > west[2, 2, 0] and west[2, 2].sum() > 400  # blue above
    far = photograph(scene, level_pose((EAST, NORTH, 12)), camera, colours, 0.5)
    np.testing.assert_allclose(far[18, 32], HORIZON, atol=1)  # lost in haze


def test_lines_of_a_survey_pass_the_start_at_their_spacing():
    area = np.array([[-1.0, 0, 0], [1, 0, -100], [0, -1, 0], [0, 1, -60]])  # 100 × 60 m
    anchor = np.array([30.0, 20])
    ends = lines_over(area, anchor, 0.4, 12.0).reshape(-1, 2, 2)
    normal = np.array([-math.sin(0.4), math.cos(0.4)])
    offsets = (ends - anchor) @ normal / 12
    np.testing.assert_allclose(offsets, offsets.round(), atol=1e-9)
    assert offsets[0].round().tolist() == [0, 0] and len(np.unique(offsets[:, 0].round())) == len(ends) > 5
    assert (ends >= -1e-9).all() and (ends <= np.array([100, 60]) + 1e-9).all()
    level = lines_over(area, anchor, 0.0, 12.0).reshape(-1, 2, 2)  # along an axis
    assert sorted(level[:, 0, 1].round(6).tolist()) == [8, 20, 32, 44, 56]
