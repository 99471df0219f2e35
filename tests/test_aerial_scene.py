"""What a scene answers, beside slow ways to the same answers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from aerial_fixtures import EAST, NORTH, box_obj, first_hit, random_triangles, soup, write

from scripts.aerial.mesh import Mesh
from scripts.aerial.meshes import load_mesh
from scripts.aerial.options import AerialMeshOptions
from scripts.aerial.scene import scene_of
from scripts.lib.cli import UserError

GROUND, BUILDING = 1, 3
ORIGIN = np.array([EAST, NORTH, 0.0])


def at(places):
    """Places relative to the fixtures' origin, in the world."""
    return ORIGIN + np.array(places)


@pytest.fixture(scope="module")
def triangles():
    return random_triangles(300, seed=3)


@pytest.fixture(scope="module")
def scene(triangles):
    return scene_of(soup(triangles))


@pytest.fixture
def house(tmp_path):
    """A closed box of 10 × 10 × 20 m on ground that lies at 2 m."""
    write(tmp_path / "bldg.obj", box_obj((0, 0, 1), (10, 10, 21)))
    write(tmp_path / "ground.obj", box_obj((-50, -50, 2), (50, 50, 3), ["1 2 3 4"]))
    return scene_of(load_mesh([tmp_path], AerialMeshOptions())[0])


def test_rays_hit_what_a_linear_system_says(scene, triangles):
    dice = np.random.default_rng(1)
    origins = ORIGIN + dice.uniform(-60, 60, (200, 3))
    towards = triangles.mean(axis=1)[dice.integers(0, len(triangles), 200)] + dice.normal(0, 1, (200, 3))
    along = (towards - origins) / np.linalg.norm(towards - origins, axis=1, keepdims=True)
    hits = scene.cast(origins, 3.7 * along)  # of any length
    wanted = [first_hit(triangles, origin, one) for origin, one in zip(origins, along, strict=True)]
    np.testing.assert_allclose(hits.distances, wanted, rtol=1e-7)
    assert 20 < np.isfinite(wanted).sum() < 200
    np.testing.assert_array_equal(hits.classes > 0, np.isfinite(wanted))
    for row, origin, one, distance in zip(hits.triangles, origins, along, hits.distances, strict=True):
        assert (row < 0) == (distance == np.inf)
        if row >= 0:
            assert first_hit(triangles[row : row + 1], origin, one) == pytest.approx(distance)


def test_rays_along_axes_and_from_inside(house):
    hits = house.cast(at([5, 5, 10]), [[1, 0, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1], [0.6, 0.8, 0]])
    np.testing.assert_allclose(hits.distances, [5, 5, 11, 8, 6.25])  # straight down the ground lies inside the walls
    assert hits.classes.tolist() == [BUILDING, BUILDING, BUILDING, GROUND, BUILDING]
    short = house.cast(at([5, 5, 10]), [1, 0, 0], limit=4.9)
    assert short.distances.tolist() == [np.inf] and short.triangles.tolist() == [-1] and short.classes.tolist() == [0]


def test_no_ray_slips_between_two_triangles(house):
    """Through every corner's neighbourhood and along the roof's diagonal."""
    step = np.linspace(0.001, 9.999, 997)
    down = house.cast(ORIGIN + np.stack([step, step, np.full(997, 50.0)], axis=1), np.tile([0, 0, -1.0], (997, 1)))
    np.testing.assert_allclose(down.distances, 29)


def test_normals_of_what_is_hit(house):
    hits = house.cast(at([5, 5, 50]), [0, 0, -1])
    assert house.normals[hits.triangles].tolist() == [[0, 0, 1]]


def test_distances_are_those_to_the_nearest_of_many_points_on_the_triangles(scene, triangles):
    dice = np.random.default_rng(2)
    places = ORIGIN + dice.uniform(-50, 50, (60, 3))
    found = scene.distance(places)
    share = dice.dirichlet([0.4, 0.4, 0.4], 4000)  # towards edges and corners
    samples = np.einsum("sc,tcx->tsx", share, triangles).reshape(-1, 3)
    for place, distance in zip(places, found, strict=True):
        nearest = np.linalg.norm(samples - place, axis=1).min()
        assert distance <= nearest + 1e-9
        assert nearest < distance + 1.5
    np.testing.assert_array_equal(np.isfinite(scene.distance(places, 5.0)), found <= 5.0)


def test_distances_by_hand(house):
    places = at([[15, 5, 10], [13, 14, 10], [5, 5, 10], [-3, -4, 33], [5, 5, 21]])
    np.testing.assert_allclose(house.distance(places), [5, 5, 5, 13, 0], atol=1e-9)


def test_room_for_a_sphere(house):
    outside, close, inside, deep = [15, 5, 10], [11, 5, 10], [5, 5, 10], [5, 5, 11.5]
    places = at([outside, close, inside, deep])
    assert house.free(places, 4.9).tolist() == [True, False, False, False]
    assert house.free(places, 0.5).tolist() == [True, True, False, False]  # inside a building there is no room
    assert house.inside(places).tolist() == [False, False, True, True]


def test_inside_of_many_boxes_on_a_grid_of_points():
    """Points straight below edges, corners and diagonals of what is above them."""
    boxes = [((0, 0, 0), (4, 4, 4)), ((2, 2, 2), (6, 6, 6)), ((4, 0, 1), (8, 4, 3))]
    mesh = joined_boxes(boxes)
    steps = np.arange(-1, 9, 0.5) + 0.25
    grid = np.stack(np.meshgrid(np.arange(-1, 9, 0.5), np.arange(-1, 9, 0.5), steps, indexing="ij"), axis=-1).reshape(
        -1, 3
    )
    found = scene_of(mesh).inside(at(grid))
    strictly = np.any([((grid > low) & (grid < high)).all(axis=1) for low, high in boxes], axis=0)
    at_most = np.any([((grid >= low) & (grid <= high)).all(axis=1) for low, high in boxes], axis=0)
    assert not (strictly & ~found).any() and not (found & ~at_most).any()


def joined_boxes(boxes):
    """Boxes as a soup of triangles in which no two share a vertex."""
    faces = np.array([[0, 3, 2, 1], [4, 5, 6, 7], [0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6], [3, 0, 4, 7]])
    found = []
    for (x0, y0, z0), (x1, y1, z1) in boxes:
        base = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
        corners = np.array([(*one, z) for z in (z0, z1) for one in base], float) + ORIGIN
        found += [corners[faces[:, [0, 1, 2]]], corners[faces[:, [0, 2, 3]]]]
    return soup(np.concatenate(found))


def test_heights_below(house):
    places = at([[20, 20, 50], [5, 5, 50], [5, 5, 10], [20, 20, 1], [90, 0, 50]])
    np.testing.assert_array_equal(house.below(places), [2, 21, 2, np.nan, np.nan])
    np.testing.assert_array_equal(house.below(places, (GROUND,)), [2, 2, 2, np.nan, np.nan])
    np.testing.assert_array_equal(house.below(places, (BUILDING,)), [np.nan, 21, 1, np.nan, np.nan])


def test_large_coordinates_keep_their_millimetres(tmp_path):
    """float32 would hold them to 4 mm."""
    far = np.array([EAST, NORTH * 100, 0])
    wall = np.array([[[5.001, -9, -9], [5.001, 9, -9], [5.001, 0, 9]]]) + far
    assert scene_of(soup(wall)).cast(far, [1, 0, 0]).distances[0] == pytest.approx(5.001, abs=1e-8)


def test_a_deep_and_uneven_mesh_is_indexed():
    """Triangles one inside the other, each half as large, and many at the same place."""
    base = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    nested = np.stack([base * 0.8**step + np.array([0, 0, 0.8**step]) for step in range(200)])
    mesh = soup(np.concatenate([nested, np.repeat(nested[:1], 100, axis=0)]))
    hits = scene_of(mesh).cast([0.0001, 0.0001, -1], [0, 0, 1])
    assert 1 <= hits.distances[0] < 1.001


def test_what_cannot_be_asked(scene):
    with pytest.raises(ValueError, match="not 0"):
        scene.cast([0, 0, 0], [0, 0, 0])
    with pytest.raises(ValueError, match="not finite"):
        scene.distance([math.nan, 0, 0])
    empty = Mesh(np.zeros((0, 3)), np.zeros((0, 3), int), np.zeros(0, np.uint8), np.zeros(0, np.int32), ("a.obj",))
    with pytest.raises(UserError, match=r"a\.obj: no triangle to build a scene from"):
        scene_of(empty)
