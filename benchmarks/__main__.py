"""Runs the benchmarks and prints their ratios beside their limits; each is a command of its own too.

    python -m benchmarks                all of them (half an hour on 2 cores)
    python -m benchmarks noop train     some

A limit that is missed is said, and the exit code is 1; nothing is timed in the tests.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

ALL = (
    *("noop", "score", "train", "merge", "curate", "call"),
    *("terrain", "gameplay", "decide", "aerial", "world", "share"),
)
RESULTS = Path("benchmarks/out/results.json")


def main() -> int:
    """Runs, prints, writes benchmarks/out/results.json; returns 1 where a limit is missed."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    options.add_argument("names", nargs="*", choices=[*ALL, []], help="which; all if none is named")
    results, missed = [], False
    for name in options.parse_args().names or ALL:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        done = subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], stdout=subprocess.PIPE, text=True)
        if done.returncode:
            missed = True
            print(f"{name}: failed, see above")
            continue
        result = json.loads(done.stdout.splitlines()[-1])
        results.append(result)
        missed |= not show(result)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps({"cores": os.cpu_count(), "results": results}, indent=2) + "\n")
    return int(missed)


def show(result: dict) -> bool:
    """Prints each ratio with its limit; returns whether all limits hold."""
    good = True
    for name, ratio in result["ratios"].items():
        least, most = result.get("at_least", {}).get(name), result.get("at_most", {}).get(name)
        held = (least is None or ratio >= least) and (most is None or ratio <= most)
        limit = f"at least {least}" if least is not None else f"at most {most}" if most is not None else "for reference"
        print(f"{result['benchmark']:<6} {name:<44} {ratio:6.2f}  ({limit}){'' if held else '  MISSED'}")
        good &= held
    print(f"       {json.dumps(result['sides'])}")
    return good


if __name__ == "__main__":
    sys.exit(main())
