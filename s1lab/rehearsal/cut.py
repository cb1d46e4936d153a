"""A profile with its sizes cut down, for a rehearsal: everything runs, nothing takes long.

The list of runs keeps its shape: as many budgets, Waits, subsets and sequence lengths as the
profile has, each much smaller. What a CPU cannot do (fp8, tensor parallelism) is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from s1lab.profiles import Profile

MAX_THINKING = 48
MAX_ANSWER = 8
MAX_SEQ_LEN = 384
EXAMPLES = 4
QUESTIONS = 2

VLLM_ON_CPU: Mapping[str, Any] = {
    "dtype": "float32",
    "enforce_eager": True,
    "block_size": 32,
    "kv_cache_memory_bytes": 256 << 20,
    "max_model_len": 2048,
}


def cut(
    profile: Profile,
    model: str,
    released: str = "",
    *,
    engine: str = "hf",
    processes: int = 2,
) -> Profile:
    """The profile at rehearsal sizes, with `model` in the place of the one it fine-tunes.

    Two optimizer steps, two questions per benchmark, at most 48 thinking tokens.

    Args:
        released: in the place of the released checkpoints; default: `model`.
        engine: "vllm" (its CPU build) or "hf".
        processes: that fine-tune together, if the profile has more than one.
    """
    evaluation, methods = profile.evaluation, profile.methods
    recipe = dict(profile.sft) | {"epochs": 1, "batch_size": EXAMPLES // 2}
    recipe |= {"max_seq_len": MAX_SEQ_LEN, "on_too_long": "truncate"}
    recipe.pop("sequence_parallel", None)  # the stand-in's heads cannot be shared out
    return replace(
        profile,
        name=f"{profile.name}-rehearsal",
        title=f"Rehearsal of {profile.name}",
        hardware="CPU",
        model=model,
        selected=EXAMPLES,
        curation="smoke" if profile.curation else "",
        sft=recipe,
        evaluation=replace(
            evaluation,
            questions=QUESTIONS,
            max_thinking=MAX_THINKING,
            max_answer=MAX_ANSWER,
            budgets=_spread(evaluation.budgets),
        ),
        ablations=replace(
            profile.ablations,
            seq_lens=tuple(
                MAX_SEQ_LEN * 3 // 4 - 8 * i for i, _ in enumerate(profile.ablations.seq_lens)
            ),
        ),
        methods=replace(
            methods,
            token_limits=_powers(methods.token_limits),
            step_limits=_powers(methods.step_limits),
            votes=min(methods.votes, 3),
            vote_budgets=_spread(methods.vote_budgets),
        ),
        efforts={
            name: dict(effort) | {"max_thinking": cap}
            for (name, effort), cap in zip(
                profile.efforts.items(), _spread(tuple(profile.efforts)), strict=True
            )
        },
        engine=engine,
        engine_options=VLLM_ON_CPU if engine == "vllm" else {},
        released={
            name: {"model": released or model, "budgets": _spread(arm.get("budgets", ()))}
            | {"waits": arm.get("waits", ())}
            for name, arm in profile.released.items()
        },
        threads=1,
        jobs=1,
        gpus=0,
        processes=min(profile.processes, processes),
        rehearsal=True,
    )


def _spread(values: Sequence[Any]) -> tuple[int, ...]:
    """As many budgets, evenly below the largest: six become 6, 13, 20, 27, 34, 41."""
    return tuple(MAX_THINKING * (i + 1) // (len(values) + 1) for i in range(len(values)))


def _powers(values: Sequence[Any]) -> tuple[int, ...]:
    """As many powers of two, from 2."""
    return tuple(2 ** (i + 1) for i in range(len(values)))
