"""How a run gets its model, and whether that can be trained at all. In several processes, or on a
GPU, none ever holds it whole: laid out without storage, then sharded, each reads its own rows."""

import contextlib
import hashlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig, PreTrainedModel

from s1core.architectures import check_twin
from s1core.checkpoints import load_model
from s1core.errors import InputError, explained
from s1core.sft import attention
from s1core.sft.checkpoint import read_tensors
from s1core.sft.config import SFTConfig
from s1core.sft.encode import IGNORE, Encoded
from s1core.sft.engine import Engine, Group, PackedLM


def prepare(
    folder: Path, encoded: Encoded, config: SFTConfig, group: Group
) -> tuple[str, torch.dtype, Callable[[], Engine]]:
    """The weights' identity, the final model's precision, and what loads and builds all of it.
    InputError: no safetensors checkpoint, or of no model that can learn these examples."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise InputError(f"{folder} holds no *.safetensors: give a transformers checkpoint")
    safe = {"trust_remote_code": False}
    with explained(f"{folder} cannot be loaded"), init_empty_weights(include_buffers=False):
        settings = AutoConfig.from_pretrained(folder, **safe)
        skeleton = AutoModelForCausalLM.from_config(settings, dtype=torch.float32, **safe)
    skeleton.tie_weights()  # not within: there each name gets a tensor of its own
    check(skeleton, encoded, config.packing)

    def whole() -> Engine:
        return Engine(load_model(folder, dtype=torch.float32).to(group.device), config, group)

    def sharded() -> Engine:
        with contextlib.suppress(OSError):  # a folder need not have one
            skeleton.generation_config = GenerationConfig.from_pretrained(folder)
        buffers = {name: buffer.clone() for name, buffer in skeleton.named_buffers()}
        engine = Engine(skeleton, config, group)
        engine.packed.to_empty(device=group.device)
        for name, buffer in skeleton.named_buffers():
            buffer.copy_(buffers[name])
        weights = {name: parameter.detach() for name, parameter in engine.named}
        read_tensors(folder, weights, False, "give a complete checkpoint of this architecture")
        return engine

    digest, end = hashlib.sha256(), 1 << 20  # sizes and both ends tell models apart
    for path in files:
        size = path.stat().st_size
        with open(path, "rb") as file:
            digest.update(repr((path.name, size)).encode() + file.read(end))
            file.seek(max(0, size - end))
            digest.update(file.read())
    dtype = settings.dtype if isinstance(settings.dtype, torch.dtype) else torch.float32
    return digest.hexdigest(), dtype, whole if group.mesh is None else sharded


@torch.no_grad()
def packs_like_transformers(twin: PreTrainedModel) -> bool:
    """Whether three sequences in one packed row lose what transformers says they lose, alone."""
    generator = torch.Generator().manual_seed(0)
    for parameter in twin.parameters():  # also norms and biases, which start at one and zero
        parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    vocabulary, lengths = twin.get_input_embeddings().weight.shape[0], (17, 9, 24)
    rows = [torch.randint(1, vocabulary, (length,), generator=generator) for length in lengths]
    twin.set_attn_implementation("eager")
    means = [float(twin(input_ids=row[None], labels=row[None]).loss) for row in rows]
    theirs = sum(mean * (length - 1) for mean, length in zip(means, lengths, strict=True))
    twin.set_attn_implementation(attention.NAME)
    targets = [torch.cat([row[1:], torch.tensor([IGNORE])]) for row in rows]
    ours = float(PackedLM(twin)(torch.cat(rows), torch.cat(targets), lengths))
    return math.isclose(ours, theirs, rel_tol=1e-4)


def check(model: PreTrainedModel, encoded: Encoded, packing: bool) -> None:
    """Whether packed rows of these examples lose on this model what transformers says they lose.
    InputError: not on a tiny twin (soft caps, a bias of the output matrix, attention sinks,
    recurrence); or the examples exceed the model's positions or its embedding."""
    advice = "fine-tune another model here, or this one with a trainer that does not pack"
    check_twin(model, "The loss of packed {} examples", packs_like_transformers, advice)
    config, longest = model.config, max(encoded.lengths)
    most = getattr(config, "max_position_embeddings", None) or longest
    if longest > most:
        said = f"an example has {longest} tokens and the model attends over {most}"
        raise InputError(f"{said}: set max_seq_len to at most {most}")
    rope = getattr(config, "rope_parameters", None) or {}
    original = rope.get("original_max_position_embeddings") or longest
    if packing and rope.get("rope_type") in ("dynamic", "longrope") and longest > original:
        said = f"examples of more than {original} tokens cannot share rows with others here"
        raise InputError(f"{said}: set packing to false, or lower max_seq_len")
    largest = max(max(example.token_ids) for example in encoded.examples)
    if largest >= getattr(config, "vocab_size", largest + 1):
        raise InputError(f"the tokenizer gives token {largest}, the model has {config.vocab_size}")


def stop_at(model: Any, encoded: Encoded, tokenizer: Any) -> None:
    """Let generation end where training taught a turn to end, and where it ended before."""
    settings = model.generation_config
    whole = (row.token_ids for row in encoded.examples if len(row.token_ids) == row.full_length)
    taught = {ids[-1] for ids in whole} or {tokenizer.eos_token_id}
    had = settings.eos_token_id
    had = had if isinstance(had, list) else [had]
    ends = [*sorted(taught), *(end for end in had if end is not None and end not in taught)]
    settings.eos_token_id = ends if len(ends) > 1 else ends[0]
    try:
        settings.validate(strict=True)
    except ValueError:  # as released by some: a temperature, and nothing is sampled; not savable
        for name in ("temperature", "top_p", "top_k", "min_p", "typical_p"):
            setattr(settings, name, None)
