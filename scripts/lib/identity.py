"""What makes a thing what it is: fingerprints of code, digests of inputs, identities of runs.

Content only. A path, a time stamp, a comment or a docstring never changes any of them.
"""

from __future__ import annotations

import ast
import functools
import hashlib
from pathlib import Path
from typing import Any

from scripts.lib.cli import UserError
from scripts.lib.files import digest, sha256_file

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "scripts"
SHORT = 16


@functools.cache
def code_fingerprint(module: str, root: Path = ROOT) -> str:
    """A digest of a stage's import closure inside the project, as 16 hex digits.

    Each module enters as its syntax tree without docstrings (comments are not in the tree), and each data file that
    lies in a package's ``templates`` folder as its bytes, if a module of that package is in the closure.

    Raises:
        UserError: the module is not in the project, or a file of the closure does not parse.
    """
    return digest(code_parts(module, root))[:SHORT]


@functools.cache
def code_parts(module: str, root: Path = ROOT) -> dict[str, str]:
    """The same by part: each project module (or template file) of the closure, and its own fingerprint.

    A rule carries this rather than the digest, so that `scripts.why` can name the module that changed.
    """
    return {name: module_fingerprint(path)[:8] for name, path in sorted(import_closure(module, root).items())}


@functools.cache
def import_closure(module: str, root: Path = ROOT) -> dict[str, Path]:
    """Every project module that ``module`` imports, directly or not, with the packages around them; name to file."""
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = module_file(name, root)
        if name in found or path is None:
            continue
        found[name] = path
        parents = name.split(".")[:-1]
        waiting += [".".join(parents[:depth]) for depth in range(1, len(parents) + 1)]
        waiting += imported_names(path, name)
        found.update({f"{name}:{file.name}": file for file in template_files(path)})
    if not found:
        raise UserError(f"{module}: no such module under {PACKAGE}/; check the rule's code=... parameter.")
    return found


def template_files(module_path: Path) -> list[Path]:
    """Files that a package's modules read at run time: those in its ``templates`` folder."""
    folder = module_path.parent / "templates"
    return sorted(file for file in folder.iterdir() if file.is_file()) if folder.is_dir() else []


def module_file(name: str, root: Path) -> Path | None:
    """The file of a project module, or None where the name is none of the project's."""
    if name.split(".")[0] != PACKAGE:
        return None
    stem = root.joinpath(*name.split("."))
    candidates = (stem / "__init__.py", stem.with_suffix(".py"))
    return next((path for path in candidates if path.is_file()), None)


@functools.cache
def syntax_tree(path: Path) -> ast.Module:
    """The parsed file.

    Raises:
        UserError: it does not parse; file and line named.
    """
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise UserError(f"{path}, line {error.lineno}: {error.msg}; mend the syntax.") from error


def imported_names(path: Path, name: str) -> list[str]:
    """Names that a file imports, imports inside functions too; relative ones resolved."""
    names: list[str] = []
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(syntax_tree(path)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            # `from scripts.lib import chat` imports a module, `from scripts.lib.chat import render` does not.
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return names


@functools.cache
def module_fingerprint(path: Path) -> str:
    """A digest of one file: of the syntax tree without docstrings for Python, of the bytes for anything else."""
    if path.suffix != ".py":
        return sha256_file(path)
    tree = ast.parse(path.read_text(encoding="utf-8"))  # its own copy: it is changed below
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            strip_docstring(node)
    return hashlib.sha256(repr(plain_tree(tree)).encode()).hexdigest()


def plain_tree(node: Any) -> Any:
    """A syntax tree as nested tuples, empty fields left out: `ast.dump` prints those as its Python version likes."""
    if isinstance(node, ast.AST):
        fields = [(name, plain_tree(value)) for name, value in ast.iter_fields(node) if value not in (None, [])]
        return (type(node).__name__, *fields)
    if isinstance(node, list):
        return [plain_tree(item) for item in node]
    return (type(node).__name__, node) if isinstance(node, (bool, int, float, complex)) else node


def strip_docstring(node: Any) -> None:
    """Removes a leading string statement, and bare strings under fields, which document and do nothing."""
    node.body = [
        statement
        for statement in node.body
        if not (
            isinstance(statement, ast.Expr)
            and isinstance(statement.value, ast.Constant)
            and isinstance(statement.value.value, str)
        )
    ] or [ast.Pass()]


def source_digest(paths: list[Path], pattern: str = "*") -> str:
    """A digest of source files by name and content: files as given, folders searched for ``pattern``.

    Names are relative to the folder given, so that moving the whole changes nothing.
    """
    rows = []
    for path in paths:
        files = sorted(file for file in path.rglob(pattern) if file.is_file()) if path.is_dir() else [path]
        rows += [
            (file.relative_to(path).as_posix() if path.is_dir() else file.name, sha256_file(file)) for file in files
        ]
    return digest(rows)[:SHORT]


def run_identity(parts: dict[str, Any]) -> str:
    """The identity of a training run, from what makes it what it is; 16 hex digits that name its work folder."""
    return digest(parts)[:SHORT]
