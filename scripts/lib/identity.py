"""What makes a thing what it is: fingerprints of code, digests of inputs, identities of runs.

Content only. A path, a time stamp, a comment or a docstring never changes any of them. Declarations of systems
(`scripts.contract`) are no part of a stage's code: what they decide reaches its rule as a parameter.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from scripts.lib.cli import UserError
from scripts.lib.files import digest, json_object, sha256_file, write_text

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "scripts"
SHORT = 16
MEMORY = Path(".snakemake") / "questline-modules.json"
FACTS_VERSION = 2
OPTIONS = "options"  # modules of this name enter by the classes that a stage imports, not as a whole
USED: set[str] = set()  # keys of `remembered` that this process asked for


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
    return {name: module_fingerprint(path, name)[:8] for name, path in sorted(import_closure(module, root).items())}


@functools.cache
def import_closure(module: str, root: Path = ROOT) -> dict[str, Path]:
    """Every project module that ``module`` imports, directly or not, with the packages around them; name to file."""
    found: dict[str, Path] = {}
    seen, waiting = {module}, [module]
    while waiting:
        files, imports = files_and_imports(waiting.pop(), root)
        found |= files
        waiting += imports - seen
        seen |= imports
    if not found:
        raise UserError(f"{module}: no such module under {PACKAGE}/; check the rule's code=... parameter.")
    return found


@functools.cache
def files_and_imports(name: str, root: Path) -> tuple[dict[str, Path], frozenset[str]]:
    """A module's file and those of its templates, by name, and the names that it imports; of ``options:Name`` those
    of that class. Both are empty where the name is none of the project's, or of a declaration."""
    module_name, _, symbol = name.partition(":")
    path = module_files(root).get(module_name)
    if path is None or is_declaration(module_name):
        return {}, frozenset()
    facts = facts_of(path, module_name)
    if symbol and symbol not in facts["symbols"]:  # a name that the module imports itself
        return files_and_imports(module_name, root)
    parents = module_name.split(".")[:-1]
    packages = [".".join(parents[:depth]) for depth in range(1, len(parents) + 1)]
    imports = facts["symbols"][symbol]["imports"] if symbol else facts["imports"]
    ours = [imported for imported in imports if imported.startswith(f"{PACKAGE}.")]
    templates = {f"{module_name}:{file.name}": file for file in template_files(path.parent)}
    return {name: path, **templates}, frozenset([*packages, *ours])


def is_declaration(name: str) -> bool:
    """Whether a module declares a system, or is the form or the list of such declarations."""
    parts = name.split(".")
    return name in (f"{PACKAGE}.contract", f"{PACKAGE}.systems") or (len(parts) == 3 and parts[2] == "system")


@functools.cache
def module_files(root: Path) -> dict[str, Path]:
    """Every module of the project, name to file; a package's file is its ``__init__.py``."""
    files = {}
    for path in (root / PACKAGE).rglob("*.py"):
        packages = path.parts[len(root.parts) : -1]
        files[".".join(packages if path.stem == "__init__" else (*packages, path.stem))] = path
    return files


@functools.cache
def template_files(folder: Path) -> list[Path]:
    """Files that a package's modules read at run time: those in its ``templates`` folder."""
    templates = folder / "templates"
    return sorted(file for file in templates.iterdir() if file.is_file()) if templates.is_dir() else []


@functools.cache
def facts_of(path: Path, name: str) -> dict[str, Any]:
    """What the syntax tree of a module tells: ``imports``, ``fingerprint`` and, of options, the same by top-level name
    under ``symbols``; remembered by the file's content.

    Raises:
        UserError: it does not parse; file and line named.
    """
    content = path.read_bytes()
    key = hashlib.sha256(f"{FACTS_VERSION} {sys.version} {name} {path.name}\n".encode() + content).hexdigest()
    known = remembered()
    USED.add(key)
    if key not in known:
        try:
            tree = ast.parse(content)
        except SyntaxError as error:
            raise UserError(f"{path}, line {error.lineno}: {error.msg}; mend the syntax.") from error
        imports = imported_names(tree, name, package=path.name == "__init__.py")
        known[key] = {"imports": imports, "fingerprint": tree_fingerprint(tree)}
        known[key]["symbols"] = symbol_facts(tree, name) if name.endswith(f".{OPTIONS}") else {}
    return known[key]


@functools.cache
def remembered() -> dict[str, dict[str, Any]]:
    """Facts of earlier runs by content. Parsing a hundred modules takes a second; a plan should not."""
    return json_object(MEMORY) or {}


def remember() -> None:
    """Keeps what this run needed to know of modules for the next one, where Snakemake keeps its own records."""
    text = json.dumps({key: remembered()[key] for key in sorted(USED)})
    if MEMORY.parent.is_dir() and not (MEMORY.is_file() and MEMORY.read_text(encoding="utf-8") == text):
        write_text(MEMORY, text)


def imported_names(tree: ast.Module, name: str, *, package: bool) -> list[str]:
    """Names that a module imports, imports inside functions too; relative ones resolved."""
    names: list[str] = []
    within = name if package else name.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = within.split(".")[: len(within.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            imported = [alias.name for alias in node.names]
            if base.endswith(f".{OPTIONS}") and imported != ["*"]:
                names += [f"{base}:{symbol}" for symbol in imported]
            else:  # `from scripts.lib import chat` imports a module, `from scripts.lib.chat import render` does not.
                names += [base, *(f"{base}.{symbol}" for symbol in imported)]
    return names


@functools.cache
def module_fingerprint(path: Path, name: str) -> str:
    """A digest of one file: of the syntax tree without docstrings for Python, of the bytes for anything else."""
    if path.suffix != ".py":
        return sha256_file(path)
    module_name, _, symbol = name.partition(":")
    facts = facts_of(path, module_name)
    return (facts["symbols"][symbol] if symbol else facts)["fingerprint"]


def symbol_facts(tree: ast.Module, name: str) -> dict[str, dict[str, Any]]:
    """``imports`` and ``fingerprint`` of each top-level class, function and constant, together with those of the module
    that it refers to, directly or not. The tree is without docstrings."""
    nodes: dict[str, ast.stmt] = {}
    imports: dict[str, list[str]] = {}
    for node in tree.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            nodes[node.name] = node
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            nodes |= {target.id: node for target in targets if isinstance(target, ast.Name)}
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                alone = type(node)(**{**dict(ast.iter_fields(node)), "names": [alias]})
                local = alias.asname or alias.name.partition(".")[0]
                imports[local] = imported_names(ast.Module([alone], []), name, package=False)
    used = {
        symbol: {part.id for part in ast.walk(node) if isinstance(part, ast.Name)} for symbol, node in nodes.items()
    }
    facts = {}
    for symbol in nodes:
        reached, waiting = set(), [symbol]
        while waiting:
            if (at := waiting.pop()) not in reached:
                reached.add(at)
                waiting += used[at] & nodes.keys()
        trees = [plain_tree(nodes[at]) for at in sorted(reached)]
        names = sorted({part for at in reached for local in used[at] & imports.keys() for part in imports[local]})
        facts[symbol] = {"imports": names, "fingerprint": hashlib.sha256(repr(trees).encode()).hexdigest()}
    return facts


def tree_fingerprint(tree: ast.Module) -> str:
    """A digest of a syntax tree, its docstrings taken out."""
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

    Raises:
        UserError: a path does not exist.
    """
    rows = []
    for path in paths:
        if not path.exists():
            raise UserError(f"{path}: no such file or folder; check the path in the configuration.")
        files = sorted(file for file in path.rglob(pattern) if file.is_file()) if path.is_dir() else [path]
        rows += [
            (file.relative_to(path).as_posix() if path.is_dir() else file.name, sha256_file(file)) for file in files
        ]
    return digest(rows)[:SHORT]


def run_identity(parts: dict[str, Any]) -> str:
    """The identity of a training run, from what makes it what it is; 16 hex digits that name its work folder."""
    return digest(parts)[:SHORT]
