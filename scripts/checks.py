"""`make check`: ruff, snakefmt --check and snakemake --lint, all of them run even if one fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

COMMANDS = (
    ["ruff", "check", "."],
    ["ruff", "format", "--check", "."],
    ["snakefmt", "--check", "Snakefile", "workflow"],
    ["snakemake", "--lint"],
)


def main() -> int:
    """Runs the checks; returns 1 if any failed."""
    failed = []
    for program, *arguments in COMMANDS:
        print(f"$ {program} {' '.join(arguments)}", flush=True)
        pinned = Path(sys.executable).parent / program  # by path: the environment need not be activated
        if subprocess.run([str(pinned), *arguments]).returncode:
            failed.append(program)
    print(f"failed: {', '.join(failed)}" if failed else "all checks passed")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
