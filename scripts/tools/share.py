"""Packages all specialists on one quantised base: the base's GGUF, and a small adapter GGUF for each specialist.

llama.cpp loads the base once and applies the adapter that a request names. The package states its size beside the size
of the merged models that it replaces. The folder is written under a temporary name and published in one step.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

from scripts.lib.cli import StageParser, UserError, run, say
from scripts.lib.files import read_json, write_json, write_text
from scripts.lib.folders import new_folder
from scripts.model.gguf_facts import read_facts
from scripts.packaging.gate import integrity_check
from scripts.packaging.sums import write_sums
from scripts.tools.deploy import mcp_snippet


def parser() -> argparse.ArgumentParser:
    """The stage's arguments."""
    stage = StageParser(__doc__, params=False)
    stage.add_argument("--base", type=Path, required=True, help="the base's quantised GGUF file")
    stage.add_argument("--base-json", type=Path, required=True, help="base.json")
    for name, words in {
        "specialist": "specialist_config.json of each specialist",
        "adapter": "adapter GGUFs, in the same order",
        "certificate": "their certificates, in the same order",
        "gate": "gate.json of their merged models, in the same order",
        "merged": "their merged models' GGUFs, whose sizes are stated beside, in the same order",
    }.items():
        stage.add_argument(f"--{name}", type=Path, nargs="+", required=True, help=words)
    stage.add_argument("--out", type=Path, required=True, help="the package's folder; replaced as a whole")
    return stage


def main(args: argparse.Namespace) -> None:
    """Builds and publishes the package.

    Raises:
        UserError: a certificate did not pass or is about other files, the lists of files differ in length, or two
            specialists have the same name.
    """
    if len({len(paths) for paths in (args.specialist, args.adapter, args.certificate, args.gate, args.merged)}) > 1:
        raise UserError(
            "--specialist, --adapter, --certificate, --gate, --merged: name one of each for every specialist."
        )
    for path, adapter in zip(args.certificate, args.adapter, strict=True):
        check = integrity_check(read_json(path), {"adapter": adapter, "base": args.base})
        if not check["passed"]:
            raise UserError(f"{path}: {check['detail']}; nothing ships. Build and certify the adapter's GGUF again.")
    configs: dict[str, Any] = {}
    for path in args.specialist:
        config = read_json(path)
        if config["name"] in configs:
            raise UserError(
                f"{path}: --specialist names {config['name']!r} twice; give each specialist its own configuration."
            )
        configs[config["name"]] = config
    facts = package_facts(args, list(configs))
    with new_folder(args.out) as folder:
        shutil.copyfile(args.base, folder / args.base.name)
        for name, adapter, certificate in zip(configs, args.adapter, args.certificate, strict=True):
            shutil.copyfile(adapter, folder / f"adapter-{name}.gguf")
            shutil.copyfile(certificate, folder / f"certificate-{name}.json")
            write_json(folder / f"specialist-{name}.json", configs[name])
        write_json(folder / "deployment_config.json", facts)
        write_json(folder / "mcp.json", mcp_snippet("tools/shared"))
        write_text(folder / "README.md", card(facts))
        write_sums(folder)
    sizes = facts["bytes"]
    say(f"{args.out}: {sizes['shared'] / 1e6:,.1f} MB; the merged models take {sizes['merged'] / 1e6:,.1f} MB")


def package_facts(args: argparse.Namespace, names: list[str]) -> dict[str, Any]:
    """deployment_config.json of the package; ``bytes`` holds its sizes, and that of the merged models it replaces."""
    base_size = args.base.stat().st_size
    adapter_sizes = [path.stat().st_size for path in args.adapter]
    gates = [{key: gate.get(key) for key in ("passed", "variant", "why")} for gate in map(read_json, args.gate)]
    return {
        "name": "tools/shared",
        "default": args.base.name,
        "context_length": read_facts(args.base).context_length,
        "specialists": {
            name: {"adapter": f"adapter-{name}.gguf", "config": f"specialist-{name}.json"} for name in names
        },
        "base": {key: read_json(args.base_json).get(key) for key in ("name", "source", "revision", "licence")},
        "gate": dict(zip(names, gates, strict=True)),
        "bytes": {
            "base": base_size,
            "adapters": dict(zip(names, adapter_sizes, strict=True)),
            "shared": base_size + sum(adapter_sizes),
            "merged": sum(path.stat().st_size for path in args.merged),
        },
    }


def card(facts: dict[str, Any]) -> str:
    """README.md of the package."""
    sizes = facts["bytes"]
    adapters = "\n".join(f"| adapter-{name}.gguf | {size / 1e6:,.1f} MB |" for name, size in sizes["adapters"].items())
    verdicts = "\n".join(
        f"- {name}: {'kept' if gate['passed'] else 'missed'} by its merged {gate['variant']}"
        + ("" if gate["passed"] else f" ({gate['why']})")
        for name, gate in facts["gate"].items()
    )
    return f"""\
# One base, several specialists

{facts["default"]} is the base model ({facts["base"]["source"]}, {facts["base"]["licence"]});
each specialist is an adapter that llama.cpp adds while it answers. A request must name every adapter's scale
(1 for the one that answers, 0 for the others). `certificate-<name>.json` shows that they answer as the
trained model does.

| file | size |
|---|---|
| {facts["default"]} | {sizes["base"] / 1e6:,.1f} MB |
{adapters}
| together | {sizes["shared"] / 1e6:,.1f} MB |
| (merged models of the same specialists) | {sizes["merged"] / 1e6:,.1f} MB |

The quality limits were tried on the merged models; base and adapter together are certified, not scored:

{verdicts}

    python -m scripts.tools.serve dist/tools/shared
    python -m scripts.tools.serve dist/tools/shared --mcp-json   # what to paste into a client
"""


if __name__ == "__main__":
    run(parser, main)
