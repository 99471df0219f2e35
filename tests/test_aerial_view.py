"""What a camera sees, beside a ray for each pixel."""

from __future__ import annotations

import math

import numpy as np
import pytest
from aerial_fixtures import EAST, NORTH, box_obj, random_triangles, soup, write

from scripts.aerial.meshes import load_mesh
from scripts.aerial.options import AerialMeshOptions
from scripts.aerial.poses import Pose, level_pose
from scripts.aerial.scene import scene_of
from scripts.aerial.view import Camera, camera_axes, view

HERE = (EAST, NORTH, 1.5)


@pytest.fixture
def street(tmp_path):
    """A wall 10 m ahead (x) from y = 2 to 6 m, on ground that passes under the camera."""
    write(tmp_path / "bldg.obj", box_obj((10, 2, 0), (12, 6, 8)))
    write(tmp_path / "ground.obj", box_obj((-50, -50, 0), (50, 50, 1), ["1 2 3 4"]))
    return scene_of(load_mesh([tmp_path], AerialMeshOptions())[0])


def test_a_wall_on_the_left_is_on_the_left(street):
    seen = view(street, level_pose(HERE), Camera(160, 90, math.pi / 2))
    rows, columns = np.nonzero(seen.classes == 3)
    # f = 80 pixels: from y = 6 m at 10 m, 48 pixels left of the middle, to y = 2 m at 12 m, 13.3 pixels left of it
    assert (columns.min(), columns.max()) == (32, 66)
    assert rows.min() == 0 and seen.depths[45, 50] == pytest.approx(10)
    assert (seen.classes[-1] == 1).all() and (seen.classes[:40, 100:] == 0).all()
    # the lowest row looks down by 44.5 / 80: 1.5 m below it meets the ground
    np.testing.assert_allclose(seen.depths[-1], 1.5 * 80 / 44.5)
    assert seen.triangles[0, 159] == -1 and seen.depths[0, 159] == np.inf


def test_a_camera_that_looks_down_sees_the_ground(street):
    down = view(street, level_pose((EAST - 20, NORTH, 30)), Camera(64, 48, 0.8, pitch=math.pi / 2))
    np.testing.assert_allclose(down.depths, 30)


def pixel_rays(pose, camera):
    """float64 [height, width, 3]: directions through the pixels' middles in the world, 1 long along the axis ahead."""
    x = (np.arange(camera.width) + 0.5 - camera.width / 2) / camera.focal
    y = (np.arange(camera.height) + 0.5 - camera.height / 2) / camera.focal
    rays = np.stack([*np.meshgrid(x, y), np.ones((camera.height, camera.width))], axis=-1)
    return rays @ camera_axes(pose, camera)


@pytest.mark.parametrize("number", range(3))
def test_every_pixel_is_what_its_ray_hits(number):
    scene = scene_of(soup(random_triangles(250, seed=20 + number)))
    dice = np.random.default_rng(number)
    turn = dice.normal(size=4)
    pose = Pose("000000", np.array([EAST, NORTH, 20.0]) + dice.uniform(-10, 10, 3), turn / np.linalg.norm(turn))
    camera = Camera(96, 64, 1.6, pitch=0.3)
    seen, rays = view(scene, pose, camera), pixel_rays(pose, camera)
    hits = scene.cast(pose.position, rays.reshape(-1, 3))
    depths = (hits.distances / np.linalg.norm(rays, axis=-1).reshape(-1)).reshape(64, 96)
    near = depths < 0.06
    same = np.isclose(seen.depths, depths, rtol=1e-6) | (np.isinf(seen.depths) & np.isinf(depths)) | near
    assert same.mean() > 0.9995  # rays along an edge may pass on either side
    assert np.isfinite(depths).mean() > 0.5
    np.testing.assert_array_equal(seen.classes > 0, seen.triangles >= 0)
