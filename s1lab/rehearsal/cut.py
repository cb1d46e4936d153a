"""A profile with its sizes cut down, for a rehearsal: everything runs, nothing takes long.

The list of runs keeps its shape: as many budgets, Waits, subsets and sequence lengths as the
profile has, each much smaller. What a CPU cannot do (fp8, tensor parallelism) is left out.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from s1lab.profiles import Profile

MAX_THINKING = 48
MAX_SEQ_LEN = 384
EXAMPLES = 4

VLLM_ON_CPU = {
    "dtype": "float32",
    "enforce_eager": True,
    "block_size": 32,
    "kv_cache_memory_bytes": 256 << 20,
    "max_model_len": 2048,
    "api_server_count": 1,
}


def cut(profile: Profile, model: str, released: str = "", *, engine: str = "hf") -> Profile:
    """The profile at rehearsal sizes, with `model` in the place of the one it fine-tunes.

    Two optimizer steps, two questions per benchmark, at most 48 thinking tokens, two processes.

    Args:
        released: in the place of the released checkpoints; default: `model`.
        engine: "vllm" (its CPU build) or "hf".
    """
    evaluation, methods = profile.evaluation, profile.methods
    # The stand-in's heads cannot be shared out.
    recipe = {name: value for name, value in profile.sft.items() if name != "sequence_parallel"}
    recipe |= {"epochs": 1, "batch_size": EXAMPLES // 2}
    caps = zip(profile.efforts.items(), _spread(profile.efforts), strict=True)
    lengths = range(len(profile.ablations.seq_lens))
    return replace(
        profile,
        name=f"{profile.name}-rehearsal",
        title=f"Rehearsal of {profile.name}",
        hardware="CPU",
        model=model,
        selected=EXAMPLES,
        curation="smoke" if profile.curation else "",
        sft=recipe | {"max_seq_len": MAX_SEQ_LEN, "on_too_long": "truncate"},
        evaluation=replace(
            evaluation,
            questions=2,
            max_thinking=MAX_THINKING,
            max_answer=8,
            budgets=_spread(evaluation.budgets),
        ),
        ablations=replace(
            profile.ablations, seq_lens=tuple(MAX_SEQ_LEN * 3 // 4 - 8 * i for i in lengths)
        ),
        methods=replace(
            methods,
            token_limits=_powers(methods.token_limits),
            step_limits=_powers(methods.step_limits),
            votes=min(methods.votes, 3),
            vote_budgets=_spread(methods.vote_budgets),
        ),
        efforts={name: {**effort, "max_thinking": cap} for (name, effort), cap in caps},
        engine=engine,
        engine_options=VLLM_ON_CPU if engine == "vllm" else {},
        released={
            name: {
                "model": released or model,
                "budgets": _spread(arm.get("budgets", ())),
                "waits": arm.get("waits", ()),
            }
            for name, arm in profile.released.items()
        },
        threads=1,
        jobs=1,
        gpus=0,
        processes=min(profile.processes, 2),
        rehearsal=True,
    )


def _spread(values: Collection[object]) -> tuple[int, ...]:
    """As many budgets, evenly below the largest: six become 6, 13, 20, 27, 34, 41."""
    return tuple(MAX_THINKING * (i + 1) // (len(values) + 1) for i in range(len(values)))


def _powers(values: Collection[object]) -> tuple[int, ...]:
    """As many powers of two, from 2."""
    return tuple(2 ** (i + 1) for i in range(len(values)))
