"""Writes a LoRA adapter as GGUF with the converter's own tables. `scripts.model.adapter_gguf` starts it in a process of
its own, with the converter's folder first on PYTHONPATH.

llama.cpp stores rows or columns of some weights in another order (llama's rotary heads), or a weight transposed
(GPT-2's Conv1D). To learn the order, the converter is given a weight [out, in] that holds the numbers 0 to
out * in - 1; the rows of B and the columns of A are then reordered in the same way.

Example: a weight [2, 2] = [[0, 1], [2, 3]] that comes back as [[2, 3], [0, 1]] has its rows in the order [1, 0].

Format (https://github.com/ggml-org/llama.cpp, src/llama-adapter.cpp): general.type "adapter", adapter.type "lora",
adapter.lora.alpha, and for a weight [out, in] the tensors <name>.lora_a [r, in] and <name>.lora_b [out, r].
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """Arguments: the base's folder, a file of pairs (see `scripts.model.adapter_gguf`), and the GGUF file to write."""
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
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, 0.0)  # llama.cpp then uses A and B unscaled
    weights = load_file(pairs)
    for name in sorted(facts["weights"]):
        a, b = weights[f"{name}.a"], weights[f"{name}.b"]
        gguf_name, rows, columns = order(converter, name, (b.shape[0], a.shape[1]), transposed=facts["weights"][name])
        writer.add_tensor(f"{gguf_name}.lora_a", a[:, columns].to(torch.float16).contiguous().numpy())
        writer.add_tensor(f"{gguf_name}.lora_b", b[rows].to(torch.float16).contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def order(converter: Any, name: str, shape: tuple[int, int], *, transposed: bool) -> tuple[str, Any, Any]:
    """llama.cpp's name of a weight, and the indices of its rows [out] and columns [in] in the base's order.

    Args:
        converter: the converter's model.
        name: the weight in the base.
        shape: [out, in].
        transposed: whether the base stores it as [in, out].

    Raises:
        SystemExit: the converter changes more than the order of the weight's rows and columns.
    """
    import torch

    numbers = torch.arange(shape[0] * shape[1]).reshape(shape)
    block = next((int(part) for part in name.split(".") if part.isdigit()), None)
    tensors = list(converter.modify_tensors(numbers.T if transposed else numbers, name, block))
    if len(tensors) != 1 or tuple(tensors[0][1].shape) != shape:
        sys.exit(f"{name}: the converter makes {len(tensors)} tensors of it; leave it out of lora.target_modules")
    gguf_name, mapped = tensors[0]
    rows, columns = mapped[:, 0] // shape[1], mapped[0] % shape[1]
    if not torch.equal(mapped, rows[:, None] * shape[1] + columns):
        sys.exit(f"{name}: the converter mixes its rows and columns; leave it out of lora.target_modules")
    return gguf_name, rows, columns


if __name__ == "__main__":
    main()
