"""Writes a LoRA adapter as GGUF with the converter's own tables. Started by scripts.model.adapter_gguf in a process of
its own, with the converter's folder first on PYTHONPATH.

Some architectures want rows or columns of a weight in another order (llama's rotary heads), or a weight transposed
(GPT-2's Conv1D). The converter is asked what it does to each weight by giving it one that holds its own row and column
numbers; the rows of B and the columns of A then go the same way.

Format (https://github.com/ggml-org/llama.cpp, src/llama-adapter.cpp): general.type "adapter", adapter.type "lora",
adapter.lora.alpha, and for a weight [out, in] the tensors <name>.lora_a [r, in] and <name>.lora_b [out, r].
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """Arguments: the base's folder, a file of pairs (see `scripts.model.adapter_gguf`), the GGUF file to write."""
    import gguf
    import torch
    from conversion import get_model_class  # the converter's own package, on PYTHONPATH in this process only
    from safetensors.torch import load_file

    base, pairs, out = map(Path, sys.argv[1:4])
    facts = json.loads(pairs.with_suffix(".json").read_text(encoding="utf-8"))
    converter = get_model_class(facts["architecture"])(base, gguf.LlamaFileType.MOSTLY_F16, out, dry_run=True)
    writer = gguf.GGUFWriter(out, gguf.MODEL_ARCH_NAMES[converter.model_arch])
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_name(facts["name"])
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(facts["alpha"]))
    weights = load_file(pairs)
    for name in sorted(facts["weights"]):
        a, b = weights[f"{name}.a"], weights[f"{name}.b"]
        there, rows, columns = order(converter, name, (b.shape[0], a.shape[1]), turned=facts["weights"][name])
        writer.add_tensor(f"{there}.lora_a", a[:, columns].to(torch.float16).contiguous().numpy())
        writer.add_tensor(f"{there}.lora_b", b[rows].to(torch.float16).contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def order(converter: Any, name: str, shape: tuple[int, int], *, turned: bool) -> tuple[str, Any, Any]:
    """llama.cpp's name of a weight, and where its rows and columns come from.

    Args:
        converter: the converter's model.
        name: the weight in the base.
        shape: [out, in].
        turned: whether the base stores it as [in, out].

    Raises:
        SystemExit: the converter makes something else of it than one weight in another order.
    """
    import torch

    numbers = torch.arange(shape[0] * shape[1]).reshape(shape)
    block = next((int(part) for part in name.split(".") if part.isdigit()), None)
    found = list(converter.modify_tensors(numbers.T if turned else numbers, name, block))
    if len(found) != 1 or tuple(found[0][1].shape) != shape:
        sys.exit(f"{name}: the converter makes {len(found)} tensors of it; leave it out of lora.target_modules")
    there, mapped = found[0]
    rows, columns = mapped[:, 0] // shape[1], mapped[0] % shape[1]
    if not torch.equal(mapped, rows[:, None] * shape[1] + columns):
        sys.exit(f"{name}: the converter mixes its rows and columns; leave it out of lora.target_modules")
    return there, rows, columns


if __name__ == "__main__":
    main()
