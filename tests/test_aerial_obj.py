"""OBJ files: every form of a face, large coordinates, classes, and every kind of bad line told by file and number."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from aerial_fixtures import EAST, NORTH, box_obj, write

from scripts.aerial import check
from scripts.aerial.mesh import doubled_areas
from scripts.aerial.mesh_files import find_meshes
from scripts.aerial.meshes import class_of, load_mesh
from scripts.aerial.obj import parse_obj
from scripts.aerial.options import AerialMeshOptions, ClassOptions
from scripts.lib.cli import UserError

SQUARE = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\n"
MANY = SQUARE + "f 1 2 3\n" * 100


def parse(text, name="made.obj"):
    data = text if isinstance(text, bytes) else text.encode()
    return parse_obj(np.frombuffer(data, np.uint8), lambda _: (3, True), name)


def kinds(found):
    return {fault.kind: fault.lines for fault in found.faults}


@pytest.mark.parametrize(
    "face",
    [
        "1 2 3",
        "1/7 2/8 3/9",
        "1//7 2//8 3//9",
        "1/7/7 2/8/8 3/9/9",
        "-4 -3 -2",
        "-4/1/1 2//4 -2",
        "1 2 3 ",
        "\t1\t2\t3\r",
    ],
)
def test_every_form_of_a_face(face):
    found = parse(f"# made\r\nmtllib a.mtl\n{SQUARE}vt 0 0\nvn 0 0 1\ns off\nf {face}\n")
    assert found.mesh.triangles.tolist() == [[0, 1, 2]] and found.faults == []


def test_negative_indices_count_from_where_they_stand():
    found = parse(SQUARE + "f -4 -3 -2\nv 5 5 5\nf -5 -4 -1\n")
    assert found.mesh.triangles.tolist() == [[0, 1, 2], [0, 1, 4]]


@pytest.mark.parametrize(
    "number",
    [
        "-37036.123456789",
        "-8234.000000001",
        "1e3",
        "+.5",
        "5.",
        "-1.25E-3",
        "12345678901234567890.123",
        "1e-30",
        "1e30",
    ],
)
def test_numbers_are_read_exactly_as_python_reads_them(number):
    assert parse(f"v {number} 0 {number} 1.0\n{SQUARE}f 1 2 3\n").mesh.vertices[0].tolist() == [
        float(number),
        0,
        float(number),
    ]


def test_random_coordinates_are_read_exactly():
    dice = np.random.default_rng(5)
    numbers = dice.uniform(-1, 1, (300, 3)) * 10 ** dice.uniform(-4, 7, (300, 1))
    text = "".join("v " + " ".join(repr(float(one)) for one in row) + "\n" for row in numbers)
    np.testing.assert_array_equal(parse(text + "f 1 2 3\n").mesh.vertices, numbers)


def test_polygons_are_divided():
    quad = parse(SQUARE + "f 1 2 3 4\n").mesh
    assert quad.triangles.tolist() == [[0, 1, 2], [0, 2, 3]]
    # an L: seen from above its area is 3, and no triangle may cover the corner that is left out
    corners = [(0, 0), (2, 0), (2, 1), (1, 1), (1, 2), (0, 2)]
    for shift in range(6):  # whichever corner comes first
        outline = corners[shift:] + corners[:shift]
        for turned in (outline, outline[::-1]):
            upright = "".join(f"v {EAST + u} 7.5 {v}\n" for u, v in turned)
            mesh = parse(upright + "f 1 2 3 4 5 6\n").mesh
            assert len(mesh.triangles) == 4
            assert doubled_areas(mesh).sum() == pytest.approx(6)
            middles = mesh.vertices[mesh.triangles].mean(axis=1) - [EAST, 7.5, 0]
            assert not ((middles[:, 0] > 1) & (middles[:, 2] > 1)).any()


def test_a_polygon_that_crosses_itself_is_told():
    found = parse("v 0 0 0\nv 2 2 0\nv 2 0 0\nv 0 2 0\nf 1 2 3 4\n")
    assert kinds(found) == {"twisted": (5,)} and len(found.mesh.triangles) == 2


BAD = {
    "outside": ("f 1 2 9\n", "points outside the vertex list"),
    "of_bad_vertex": ("v nan 0 0\nf 1 2 -1\n", "has a vertex that was set aside"),
    "short_face": ("f 1 2\n", "fewer than three corners; the line may be cut off"),
    "bad_face": ("f 1 2 x\n", "a corner that is no index"),
    "unknown": ("<html>\n", "is no statement of an OBJ file"),
    "bad_vertex": ("v 1 2\n", "a vertex has no three numbers"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_lines_are_named_and_the_rest_goes_on(kind):
    text, said = BAD[kind]
    found = parse(MANY + text)
    [fault] = [fault for fault in found.faults if fault.kind == kind]
    assert fault.lines == (105 + ("v nan" in text),) and said in fault.message
    assert len(found.mesh.triangles) == 100


@pytest.mark.parametrize("value", ["nan", "inf", "-Infinity", "1e999"])
def test_vertices_that_are_not_finite_are_named(value):
    found = parse(MANY + f"v 1 {value} 0\n")
    assert kinds(found) == {"not_finite": (105,)}


@pytest.mark.parametrize("value", ["1,5", "1_5", "0x10", "12abc", "1e", "--1", "."])
def test_what_is_no_number_is_named(value):
    found = parse(MANY + f"v {value} 0 0\nf 0 1 2\n")
    assert kinds(found) == {"bad_vertex": (105,), "bad_face": (106,)}


def test_a_file_that_is_cut_off_tells_where():
    text = MANY + "v 1 2 3\nf 1 2 5\nv 2 2 2\nf 1 2 6"
    assert parse(text).faults == []
    assert kinds(parse(text[:-1])) == {"short_face": (108,)}
    assert kinds(parse(text.replace("v 2 2 2\n", ""))) == {"outside": (107,)}


@pytest.mark.parametrize("content", ["", "# nothing\n", SQUARE, b"\x89PNG\r\n\x1a\n\x00\x00", SQUARE + "f 7 8 9\n"])
def test_an_empty_mesh_is_named(content):
    assert parse(content).faults[-1].kind == "empty"


def test_bytes_that_are_not_utf8():
    found = parse(b"\xef\xbb\xbf# caf\xe9\ng \x83r\x83\x8b\n" + MANY.encode() + b"\xff\xfe 1 2\n")
    assert kinds(found) == {"not_utf8": (2,), "unknown": (107,)}
    assert len(found.mesh.triangles) == 100


def test_a_line_may_go_on_after_a_backslash():
    found = parse(SQUARE + "f 1 2 \\\n  3 4\nf 1 \\\r\n2 9\n")
    assert len(found.mesh.triangles) == 2 and kinds(found) == {"outside": (7,)}


def test_files_are_kept_where_they_stand(tmp_path):
    write(tmp_path / "a.obj", box_obj((0, 0, 0), (1, 1, 1)))
    write(tmp_path / "below/b.OBJ", box_obj((900, 0, 0), (901, 1, 1)))
    write(tmp_path / ".hidden/c.obj", "")
    mesh, faults = load_mesh([tmp_path], AerialMeshOptions())
    assert faults == [] and len(mesh.triangles) == 24
    assert mesh.bounds.tolist() == [[EAST, NORTH, 0], [EAST + 901, NORTH + 1, 1]]
    assert mesh.files.tolist() == [0] * 12 + [1] * 12 and mesh.names[1].endswith("below/b.OBJ")


def test_classes_by_name_in_the_file_then_by_file(tmp_path):
    options = AerialMeshOptions()
    numbers = {
        name: class_of(options, name) for name in ("B_office", "53394611_bldg_6697", "Ground", "53_dem_1", "odd")
    }
    assert numbers == {"B_office": 3, "53394611_bldg_6697": 3, "Ground": 1, "53_dem_1": 1, "odd": None}
    faces = "f 1 2 3\n"
    text = SQUARE + faces + f"g street_tree\n{faces}usemtl concrete\n{faces}usemtl Road\n{faces}g\n{faces}"
    write(tmp_path / "bldg.obj", text)
    mesh, _ = load_mesh([tmp_path], options)
    assert mesh.classes.tolist() == [3, 2, 2, 1, 1]  # concrete is no class: the group's holds
    by_file, _ = load_mesh([tmp_path], AerialMeshOptions(by="file", otherwise="tree"))
    assert by_file.classes.tolist() == [3] * 5
    write(tmp_path / "bldg.obj", SQUARE + faces)
    (tmp_path / "bldg.obj").rename(tmp_path / "odd.obj")
    assert load_mesh([tmp_path], AerialMeshOptions(otherwise="tree"))[0].classes.tolist() == [2]


def test_class_tables_are_checked():
    with pytest.raises(ValueError, match="different numbers"):
        AerialMeshOptions(classes={name: ClassOptions(number=1, names=["*"]) for name in "ab"}, otherwise="a")
    with pytest.raises(UserError, match="otherwise 'house' is none of the classes"):
        AerialMeshOptions.parse({"otherwise": "house"})


def test_axes_and_units(tmp_path):
    write(tmp_path / "a.obj", "v 100 300 -200\nv 200 300 -200\nv 200 300 -400\nf 1 2 3\n")
    mesh, _ = load_mesh([tmp_path], AerialMeshOptions(up="y", metres_per_unit=0.01))
    assert mesh.bounds.tolist() == [[1, 2, 3], [2, 4, 3]]


def test_too_much_set_aside_stops(tmp_path):
    write(tmp_path / "a.obj", SQUARE + "f 1 2 3\nf 1 2 9\n")
    with pytest.raises(
        UserError, match=r"a.obj, line 6: a face points outside .* 1 of 2 faces .* mesh.max_bad_share 0.05"
    ):
        load_mesh([tmp_path], AerialMeshOptions())
    mesh, [fault] = load_mesh([tmp_path], AerialMeshOptions(max_bad_share=0.5))
    assert len(mesh.triangles) == 1 and fault.lines == (6,)


def test_paths_without_a_mesh_are_told(tmp_path):
    with pytest.raises(UserError, match="no such file or folder"):
        find_meshes([tmp_path / "none"])
    with pytest.raises(UserError, match="holds no OBJ file"):
        find_meshes([tmp_path])
    with pytest.raises(UserError, match="not an OBJ file"):
        find_meshes([write(tmp_path / "a.gltf", "")])
    with pytest.raises(UserError, match=r"an archive; first `python -m scripts\.aerial\.fetch"):
        find_meshes([write(tmp_path / "a.zip", "")])
    write(tmp_path / "b.obj", "")
    with pytest.raises(UserError, match="holds no face that can be used"):
        load_mesh([tmp_path / "b.obj"], AerialMeshOptions())


def test_files_of_different_cities_are_refused(tmp_path):
    write(tmp_path / "a.obj", box_obj((0, 0, 0), (100, 100, 20)))
    write(tmp_path / "b.obj", box_obj((5e5, 0, 0), (5e5 + 100, 100, 20)))
    with pytest.raises(UserError, match="reach over 500 km"):
        load_mesh([tmp_path], AerialMeshOptions())


def run_check(capsys, *arguments):
    code = check.main(check.parser().parse_args([str(argument) for argument in arguments]))
    return code, capsys.readouterr()


def test_check_of_a_sound_mesh(tmp_path, capsys):
    write(tmp_path / "a_bldg.obj", box_obj((0, 0, 0), (40, 30, 12)) + "f 1 1 2\n")
    code, said = run_check(capsys, tmp_path)
    assert code == 0
    assert (
        "building 13 triangles, x -8,234.0 to -8,194.0, y -37,036.0 to -37,006.0, z 0.0 to 12.0 m, 1 without"
        in said.out
    )
    assert said.out.splitlines()[-1] == "1 of 1 files can be used; triangles: 0 ground, 0 tree, 13 building"
    code, said = run_check(capsys, tmp_path, "--json")
    row = json.loads(said.out)
    assert row["usable"] and row["degenerate"] == 1 and row["triangles"]["building"] == 13 and row["problems"] == []
    assert row["extent"] == [[EAST, NORTH, 0], [EAST + 40, NORTH + 30, 12]]
    assert (row["closed_shells"], row["in_closed_shells"], row["unnamed"]) == (1, 12, 0)


SHAPES = {
    "small": ((0, 0, 0), (2, 1.5, 1), "it may be in kilometres or degrees; set mesh.metres_per_unit"),
    "units": ((0, 0, 0), (4e5, 3e5, 1e5), "100,000 m high, .* may be in millimetres or centimetres"),
    "tall": ((0, 0, 0), (900, 60, 2000), "the axis that points up may be another one"),
    "y_up": ((0, 0, 0), (300, 12, 300), "it looks as if y pointed up; set mesh.up: y"),
}


@pytest.mark.parametrize("kind", SHAPES)
def test_check_tells_units_and_axes_that_look_wrong(tmp_path, capsys, kind):
    low, high, told = SHAPES[kind]
    write(tmp_path / "a_bldg.obj", box_obj(low, high))
    code, said = run_check(capsys, tmp_path, "--json")
    problems = json.loads(said.out)["problems"]
    assert code == 1
    [fault] = [one for one in problems if one["kind"] == kind]
    assert re.search(told, fault["message"])


def test_check_tells_bad_lines_files_apart_and_poses_elsewhere(tmp_path, capsys):
    write(tmp_path / "a.obj", box_obj((0, 0, 0), (40, 30, 12)) + "f 1 2 99\n" * 3)
    write(tmp_path / "b.obj", box_obj((50, 0, 0), (90, 30, 12)))
    write(tmp_path / "c.obj", box_obj((1e7, 0, 0), (1e7 + 40, 30, 12)))
    write(tmp_path / "d.obj", "# nothing\n")
    pose = {"position": {"x": EAST, "y": NORTH, "z": 9}, "orientation": {"x": 0, "y": 0, "z": 0, "w": 1}}
    poses = write(tmp_path / "poses.jsonl", json.dumps(pose) + "\n")
    code, said = run_check(capsys, tmp_path, "--poses", poses)
    assert code == 1
    assert said.out.splitlines()[-1].startswith("3 of 4 files can be used;")
    assert said.out.endswith("problems: 1 apart, 1 empty, 1 far_from_poses, 3 outside\n")
    assert "a.obj, line 15: outside: a face points outside the vertex list" in said.err
    assert "c.obj: apart: lies 10,000 km from the other files" in said.err
    assert "c.obj: far_from_poses: lies 10,000 km from the nearest pose" in said.err
