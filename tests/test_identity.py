"""Fingerprints follow what code does, not how it looks; digests follow content, not time."""

import os

import pytest

from scripts.lib import identity
from scripts.lib.cli import UserError
from scripts.lib.identity import code_fingerprint, code_parts, import_closure, source_digest

CODE = '''
"""Old words."""
from scripts.lib import helper
from scripts.lib.options.a import Options


def stage(x):
    """Old words."""
    # a comment
    return helper.double(x) + 1
'''


def forget():
    """A new process: nothing is known of any module."""
    for function in vars(identity).values():
        if hasattr(function, "cache_clear"):
            function.cache_clear()


@pytest.fixture
def project(tmp_path):
    """A project with a stage, a helper it imports, and a module that nothing imports."""

    def write(name, text):
        path = tmp_path / "scripts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        forget()

    for name in ("__init__.py", "lib/__init__.py", "lib/options/__init__.py", "other.py"):
        write(name, "")
    write("stage.py", CODE)
    write("lib/helper.py", "def double(x):\n    return 2 * x\n")
    write("lib/options/a.py", "class Options:\n    size = 1\n")
    return tmp_path, write


def test_closure_is_what_the_stage_imports_and_nothing_else(project):
    root, _ = project
    assert set(import_closure("scripts.stage", root)) == {
        "scripts",
        "scripts.stage",
        "scripts.lib",
        "scripts.lib.helper",
        "scripts.lib.options",
        "scripts.lib.options.a",
    }


@pytest.mark.parametrize(
    ("old", "new"),
    [("Old words", "New words"), ("# a comment", "# another\n    # comment"), ("x) + 1", "x)  +  1")],
)
def test_comments_docstrings_and_spacing_change_nothing(project, old, new):
    root, write = project
    before = code_fingerprint("scripts.stage", root)
    write("stage.py", CODE.replace(old, new))
    assert code_fingerprint("scripts.stage", root) == before


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("stage.py", CODE.replace("+ 1", "+ 2")),
        ("stage.py", CODE.replace("+ 1", "+ True")),
        ("lib/helper.py", "def double(x):\n    return x + x\n"),
        ("lib/options/a.py", "class Options:\n    size = 2\n"),
    ],
)
def test_code_of_the_closure_changes_the_fingerprint(project, name, text):
    root, write = project
    before = code_fingerprint("scripts.stage", root)
    write(name, text)
    assert code_fingerprint("scripts.stage", root) != before


def test_other_modules_change_nothing(project):
    root, write = project
    before = code_fingerprint("scripts.stage", root)
    write("other.py", "x = 1\n")
    assert code_fingerprint("scripts.stage", root) == before


def test_template_beside_a_module_counts(project):
    root, write = project
    before = code_fingerprint("scripts.stage", root)
    write("templates/page.html", "<p>")
    assert code_fingerprint("scripts.stage", root) != before


def test_parts_name_the_module_that_changed(project):
    root, write = project
    before = code_parts("scripts.stage", root)
    write("lib/helper.py", "def double(x):\n    return x + x\n")
    after = code_parts("scripts.stage", root)
    assert [name for name in after if after[name] != before[name]] == ["scripts.lib.helper"]


def test_missing_module_and_broken_syntax_are_named(project):
    root, write = project
    with pytest.raises(UserError, match=r"scripts\.nothing: no such module"):
        code_parts("scripts.nothing", root)
    write("lib/helper.py", "def double(:\n")
    with pytest.raises(UserError, match=r"helper\.py, line 1"):
        code_parts("scripts.stage", root)


def test_every_stage_has_a_closure_without_the_whole_config():
    for module in ("scripts.model.train", "scripts.dnd.curate", "scripts.model.predict"):
        assert "scripts.config" not in import_closure(module)


def test_source_digest_follows_content_and_names_not_time(tmp_path):
    folder = tmp_path / "raw"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a.md").write_text("one")
    (folder / "b.txt").write_text("not counted")
    before = source_digest([folder], "*.md")
    os.utime(folder / "sub" / "a.md", (1, 1))
    (folder / "b.txt").write_text("changed")
    assert source_digest([folder], "*.md") == before
    (folder / "sub" / "a.md").write_text("two")
    os.utime(folder / "sub" / "a.md", (1, 1))
    assert source_digest([folder], "*.md") != before


def test_what_is_remembered_is_the_same_and_an_edit_is_not_remembered(project, tmp_path, monkeypatch):
    root, write = project
    (tmp_path / ".snakemake").mkdir()
    monkeypatch.setattr(identity, "MEMORY", tmp_path / ".snakemake" / "modules.json")
    monkeypatch.setattr(identity, "USED", set())
    identity.remembered.cache_clear()
    fresh = code_parts("scripts.stage", root)
    identity.remember()
    forget()
    monkeypatch.setattr(identity, "tree_fingerprint", None)  # nothing is parsed again
    assert code_parts("scripts.stage", root) == fresh
    monkeypatch.undo()
    monkeypatch.setattr(identity, "MEMORY", tmp_path / ".snakemake" / "modules.json")
    forget()
    write("lib/helper.py", "def double(x):\n    return 3 * x\n")
    after = code_parts("scripts.stage", root)
    assert {name for name in fresh if fresh[name] != after[name]} == {"scripts.lib.helper"}
    (tmp_path / ".snakemake" / "modules.json").write_text("[broken")
    forget()
    assert code_parts("scripts.stage", root) == after
    identity.remembered.cache_clear()


OPTIONS = """
from scripts.lib import helper
from scripts.lib.options.a import Options

SPAN = 3


class Reading(Options):
    \"\"\"Words.\"\"\"
    size: int = SPAN


class Playing(Options):
    speed: int = helper.double(2)
"""


def test_of_an_options_module_only_what_is_imported_counts(project):
    """A stage that reads does not depend on how a game is played, though both options stand in one file."""
    root, write = project
    write("toy/__init__.py", "")
    write("toy/options.py", OPTIONS)
    write("toy/read.py", "from scripts.toy.options import Reading\n")
    write("toy/play.py", "from scripts.toy.options import Playing\n")
    write("toy/both.py", "from scripts.toy import options\n")
    before = {stage: code_parts(f"scripts.toy.{stage}", root) for stage in ("read", "play", "both")}
    assert "scripts.toy.options:Reading" in before["read"] and "scripts.lib.helper" not in before["read"]
    assert "scripts.lib.helper" in before["play"] and "scripts.toy.options" in before["both"]

    def changed():
        return [stage for stage, parts in before.items() if code_parts(f"scripts.toy.{stage}", root) != parts]

    write("toy/options.py", OPTIONS.replace("double(2)", "double(3)"))
    assert changed() == ["play", "both"]
    write("toy/options.py", OPTIONS.replace("SPAN = 3", "SPAN = 4"))  # what a class refers to counts
    assert changed() == ["read", "both"]
    write("toy/options.py", OPTIONS.replace("Words.", "Other words."))
    assert changed() == []
