"""Fine-tuning from the command line, on one process or under `torchrun`.

    python -m s1core.sft.launch --model DIR --data examples.jsonl --out DIR --config sft.yaml
    torchrun --nproc-per-node 8 -m s1core.sft.launch ...   # sharded over 8 GPUs

The same call resumes a run that was stopped, also on another number of processes.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from s1core.errors import InputError
from s1core.records import Example, read_jsonl, write_atomically
from s1core.sft.config import LoRA, SFTConfig
from s1core.sft.encode import encode
from s1core.sft.train import train

RESULT = "result.json"
"""What the first process leaves in the output folder when training is finished."""


def read_config(path: Path | None, settings: Sequence[str] = ()) -> SFTConfig:
    """Settings from a YAML or JSON file, then from `name=value` pairs.

    Raises:
        InputError: the file is not a mapping, or a name is not a setting.
    """
    row: Any = yaml.safe_load(path.read_text(encoding="utf-8")) if path else {}
    if not isinstance(row, dict):
        raise InputError(f"{path} must hold settings, one `name: value` a line")
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise InputError(f"--set takes name=value, not {setting!r}")
        row[name] = yaml.safe_load(value)
    for name, kind in (("lr", float), ("weight_decay", float), ("eps", float)):
        if name in row:  # YAML reads 1e-5 as text
            row[name] = kind(row[name])
    if "betas" in row:
        row["betas"] = tuple(row["betas"])
    if row.get("lora"):
        row["lora"] = LoRA(**row["lora"])
    unknown = sorted(set(row) - set(SFTConfig.__dataclass_fields__))
    if unknown:
        raise InputError(
            f"unknown setting {', '.join(unknown)}; there are {', '.join(SFTConfig.__slots__)}"
        )
    return SFTConfig(**row)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="s1core.sft.launch", description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, required=True, help="a transformers checkpoint")
    parser.add_argument("--data", type=Path, required=True, help="examples, JSONL")
    parser.add_argument("--out", type=Path, required=True, help="where log and checkpoints go")
    parser.add_argument("--config", type=Path, help="settings, YAML or JSON; default: the paper's")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--device", help="cpu or cuda; default: a GPU where there is one")
    parser.add_argument("--restart", action="store_true", help="start over, deleting the old run")
    options = parser.parse_args(arguments)
    try:
        config = read_config(options.config, options.set)
        examples = list(read_jsonl(options.data, Example))
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(options.model)
        encoded = encode(
            examples, tokenizer, config.template, config.max_seq_len, config.on_too_long
        )
        result = train(
            options.model,
            tokenizer,
            encoded,
            config,
            options.out,
            resume=not options.restart,
            device=options.device,
        )
    except (InputError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finally:
        _leave()
    if os.environ.get("RANK", "0") == "0":
        names = ("steps", "tokens", "supervised_tokens", "seconds", "resumed_from", "data")
        facts = {name: getattr(result, name) for name in names}
        write_atomically(options.out / RESULT, [json.dumps(facts, indent=1) + "\n"])
        loss = result.log[-1]["loss"]
        print(f"{result.data}\n{result.steps} steps, last loss {loss:.4f}, model in {result.path}")
    return 0


def _leave() -> None:
    import torch.distributed as dist

    if dist.is_initialized():
        dist.destroy_process_group()


if __name__ == "__main__":
    sys.exit(main())
