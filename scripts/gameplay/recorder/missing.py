"""The error for an optional package that is not installed."""

from __future__ import annotations

import importlib.util

from scripts.lib.cli import UserError


def needs(*modules: str) -> None:
    """Checks that modules of the packages in envs/record.txt are installed.

    Raises:
        UserError: one is not installed.
    """
    lacking = [name for name in modules if importlib.util.find_spec(name) is None]
    if lacking:
        raise UserError(
            f"the recorder needs {' and '.join(lacking)}, not installed here; run `make record-setup` (without make: "
            "`.venv/bin/python -m scripts.gameplay.record_setup`)."
        )
