"""The engine that a profile will use, tried on this machine over a model of two layers.

It has the profile's architecture, vocabulary and tokenizer, and is randomly initialised, but
decisive: its output matrix gives each token one clear successor, in any precision, so that greedy
tokens can be held against those of transformers one by one. The successors go round in a loop in
which thinking ends again and again, and with it the turn.
"""

import tempfile
import time
from collections.abc import Sequence
from itertools import islice
from math import gcd
from pathlib import Path
from typing import Any

from s1core import templates
from s1core.backends.hf import HFBackend
from s1core.checkpoints import explained, load_tokenizer, locate
from s1core.errors import BackendError
from s1core.forcing import Budget, generate
from s1core.forcing.budget import rules
from s1core.records import Problem
from s1lab.kinds.launch import ServedBackend
from s1lab.profiles import Profile

HIDDEN, HEADS, LAYERS, WORDS = 256, 8, 2, 9
ROOM = 1024  # tokens of context
CASES = (
    Budget(0, max_answer=5),
    Budget(40, max_answer=24),
    Budget(200, num_ignore=3, ignore_str=("Wait", "Hmm"), max_answer=24),
    Budget(120, num_ignore=1, ignore_str="", max_answer=24),
    Budget(90, min_thinking=60, max_answer=1, answer_cue=""),
)
"""Caps, Waits, an end that is only suppressed, a lower bound; they share a batch."""


def decisive(model: str, template: str, asked: Sequence[str], folder: str | Path) -> Path:
    """Save the small model and its tokenizer in `folder`; `asked` are the questions it will get.
    InputError: the model's configuration or tokenizer cannot be had."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    tokenizer = load_tokenizer(model)
    with explained(f"{model} cannot be made small"):
        config = AutoConfig.from_pretrained(locate(model), trust_remote_code=False)
        kinds = getattr(config, "layer_types", None)
        pairs = gcd(getattr(config, "num_key_value_heads", HEADS), HEADS)
        small = {"hidden_size": HIDDEN, "intermediate_size": HIDDEN, "head_dim": HIDDEN // HEADS}
        small |= {"num_attention_heads": HEADS, "num_key_value_heads": pairs}
        small |= {"num_hidden_layers": LAYERS, "layer_types": kinds and kinds[:LAYERS]}
        small |= {"tie_word_embeddings": False, "initializer_range": 0.02}
        torch.manual_seed(0)
        net = AutoModelForCausalLM.from_config(type(config)(**config.to_dict() | small))
    delimiters = templates.resolve(template, tokenizer)
    starts = {templates.prompt_ids(template, tokenizer, question)[-1] for question in asked}
    for case in CASES:
        told = rules(case, delimiters, tokenizer)
        strings = (*told.ignore_ids, told.end_ids, told.cue_ids, told.newline_ids)
        starts |= {ids[-1] for ids in strings if ids}
    stops = [*sorted(delimiters.end_of_thinking_ids)[:1], *told.eos_ids[:1]]
    taken = starts | set(tokenizer.all_special_ids)
    words = (i for i in range(len(tokenizer)) if i not in taken and tokenizer.decode([i]).isalpha())
    loop = [token for stop in stops for token in (*islice(words, WORDS), stop)]
    embedding, head = net.get_input_embeddings().weight, net.get_output_embeddings().weight
    with torch.no_grad():
        embedding.normal_()
        head.zero_()
        for place, token in enumerate(loop):
            head[loop[(place + 1) % len(loop)]] += embedding[token]
            head[loop[(place + 2) % len(loop)]] += embedding[token] / 2  # where a stop is barred
        for place, token in enumerate(sorted(starts - set(loop))):
            head[loop[2 * place % len(loop)]] += embedding[token]
            head[loop[(2 * place + 1) % len(loop)]] += embedding[token] / 2
    net.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return Path(folder)


def check(profile: Profile, store: Path) -> str:
    """Start the profile's engine and pass the first cases of the contract; says what was seen.
    BackendError: it does not start, or its tokens are not those of transformers."""
    problems = [Problem(f"What is {i} + {i}?", "") for i in range(4 * len(CASES))]
    budgets = CASES * 4
    options: dict[str, Any] = {**profile.engine_options, "max_model_len": ROOM}
    store.mkdir(parents=True, exist_ok=True)
    # Beside the runs: every node must see it.
    with tempfile.TemporaryDirectory(dir=store, prefix=".engine") as place:
        asked = [problem.question for problem in problems]
        folder = decisive(profile.model, profile.template, asked, place)
        theirs = list(generate(HFBackend.from_pretrained(folder), problems, budgets))
        began = time.monotonic()
        gpus = profile.gpus or profile.processes
        log = store / "server.log"
        engine = ServedBackend(folder, gpus=gpus, batch_size=64, log=log, **options)
        try:
            started, ours = time.monotonic() - began, list(generate(engine, problems, budgets))
        finally:
            engine.close()
    waits = sum(one.waits_used for one in theirs)
    if same := sum(a == b for a, b in zip(ours, theirs, strict=True)) - len(theirs):
        raise BackendError(f"{-same} of {len(theirs)} generations are not those of transformers")
    outcomes = {one.outcome for one in ours}
    if not waits or outcomes != {"ended", "truncated"}:
        raise BackendError(f"the cases do not try it: {waits} Waits, outcomes {sorted(outcomes)}")
    return (
        f"vLLM started in {started:.0f} s; {len(ours)} generations, {waits} Waits among them, as "
        "transformers makes them"
    )
