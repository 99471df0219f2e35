"""Draws the graph of rules: reports/dag.svg where Graphviz is installed, else reports/dag.mmd (Mermaid).

python -m scripts.dag [snakemake arguments]
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from scripts.lib.files import write_text

FOLDER = Path("reports")


def main() -> int:
    """Writes the picture and says where; returns an exit code."""
    form = "dot" if shutil.which("dot") else "mermaid-js"
    command = [sys.executable, "-m", "snakemake", "--rulegraph", form, *sys.argv[1:]]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        return done.returncode
    text, name = done.stdout, "dag.mmd"
    if form == "dot":
        text = subprocess.run(["dot", "-Tsvg"], input=text, stdout=subprocess.PIPE, text=True, check=True).stdout
        name = "dag.svg"
    write_text(FOLDER / name, text)
    print(FOLDER / name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
