"""Compiles ahead what systems would compile at their first use; `make setup` ends with it.

python -m scripts.warm
"""

from __future__ import annotations

import subprocess
import sys

from scripts.systems import SYSTEMS


def main() -> None:
    """Runs the command that each system declares."""
    for system in SYSTEMS.values():
        if system.warm:
            subprocess.run([sys.executable, "-m", system.warm])


if __name__ == "__main__":
    main()
