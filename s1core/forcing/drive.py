"""From problems to generations: one driver for every engine, which steps one machine per row in
its own loop (`force`) or over several calls of `complete`, with the same random numbers."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from tqdm.auto import tqdm

from s1core import templates
from s1core.backends.base import Backend, Params, Prompts, SamplingParams, row_seed
from s1core.errors import BackendError, InputError, check_number
from s1core.forcing.budget import Budget, Machine, Rules, rules
from s1core.records import Generation, Problem


@dataclass(frozen=True, slots=True)
class Failure:
    """A generation that an engine failed to make: recorded as such, never graded."""

    problem_key: str
    sample: int
    error: str


def generate(
    backend: Backend,
    problems: Sequence[Problem],
    budgets: Budget | Sequence[Budget],
    *,
    template: str = "s1",
    samples: int = 1,
    first_sample: int = 0,
    temperature: float = 0.0,
    top_p: float = 1.0,
    seed: int = 0,
    system: str | None = None,
    ask: Callable[[Problem], str] | None = None,
    machine: Callable[[Rules, Sequence[int], int], Machine] = Machine,
    thinking: bool = True,
    native: bool | None = None,
    progress: bool = False,
    on_failure: Callable[[Failure], None] | None = None,
) -> Iterator[Generation]:
    """Answer problems under thinking budgets (Section 3.1), by problem, then by sample.

    Every random number is a function of (seed, problem, sample, draw), so a row does not depend on
    what else is in its batch. InputError: a setting is out of range, the template does not fit the
    model, or a prompt leaves no room in the context. BackendError: see `on_failure`.

    Args:
        budgets: one for all problems, or one per problem.
        samples: generations per problem, numbered from `first_sample`.
        ask: the question as the model reads it, instructions included (`forcing.controls`). Keys
            and random numbers are the problem's own all the same.
        machine: the state machine to step; `controls.StepMachine` counts steps, for one.
        thinking: False asks for the answer at once (Section 2.2, Difficulty): no think delimiter,
            and of the budget only `max_answer` counts.
        native: step the machine inside the engine's loop; None does so where the engine can.
        on_failure: called with each row that the engine failed on; None raises after the rest.
    """
    budgets = [budgets] * len(problems) if isinstance(budgets, Budget) else list(budgets)
    if len(budgets) != len(problems):
        raise InputError(f"{len(problems)} problems, {len(budgets)} budgets; give one per problem")
    check_number("samples", samples, 1, 2**31 - 1)
    check_number("first_sample", first_sample, 0, 2**31 - 1)
    check_number("seed", seed, 0, 2**63 - 1)
    SamplingParams(1, temperature, top_p)  # refuses what is out of range, before any work
    native = hasattr(backend, "force") if native is None else native
    tokenizer = backend.tokenizer
    delimiters = templates.resolve(template, tokenizer)
    encoded = {budget: rules(budget, delimiters, tokenizer) for budget in set(budgets)}
    rows = []
    for problem, budget in zip(problems, budgets, strict=True):
        question = ask(problem) if ask else problem.question
        prompt = templates.prompt_ids(template, tokenizer, question, system, thinking)
        for sample in range(first_sample, first_sample + samples):
            own = machine(encoded[budget], prompt, backend.context_length)
            if not thinking:
                own.skip_thinking()
            rows.append((problem.key, sample, prompt, own))
    step: Any = backend.force if native else partial(multi_call, backend)
    failures: list[str] = []
    starts = range(0, len(rows), backend.batch_size)
    for first in tqdm(starts, desc="batches", leave=False, disable=not progress):
        keys, numbers, prompts, machines = zip(*rows[first : first + backend.batch_size])
        seeds = map(partial(row_seed, seed), keys, numbers)
        params = [SamplingParams(1, temperature, top_p, own) for own in seeds]
        errors = step(prompts, machines, params) or [""] * len(keys)
        for key, sample, done, error in zip(keys, numbers, machines, errors, strict=True):
            if not error:
                yield _generation(key, sample, done, tokenizer, delimiters.think_end_ids)
            elif on_failure:
                on_failure(Failure(key, sample, error))
            else:
                failures.append(f"problem {key} sample {sample}: {error}")
    if failures:
        failed = f"{len(failures)} of {len(rows)} generations failed"
        raise BackendError(f"{failed}; the first, {failures[0]}")


def multi_call(
    backend: Backend, prompts: Prompts, machines: Sequence[Machine], params: Params
) -> list[str]:
    """Step machines over calls of `complete`, each of which re-submits what a row has so far, as
    token ids, with what is left of its budget; returns one error per row ("" for none)."""
    errors = [""] * len(prompts)
    for machine in machines:
        machine.start()
    while live := [i for i, machine in enumerate(machines) if not (machine.finished or errors[i])]:
        so_far = [[*prompts[i], *machines[i].token_ids] for i in live]
        completions = backend.complete(so_far, [_left(params[i], machines[i]) for i in live])
        for i, completion in zip(live, completions, strict=True):
            if completion.finish_reason == "error":
                errors[i] = completion.error
            elif not completion.token_ids:
                errors[i] = "the engine sampled nothing, not even a stop token"
            else:
                machines[i].take(completion.token_ids)
    return errors


def _left(params: SamplingParams, machine: Machine) -> SamplingParams:
    stops, draw = tuple(sorted(machine.stops)), params.first_draw + machine.draws
    own = {"max_tokens": machine.room, "stop_token_ids": stops, "first_draw": draw}
    return replace(params, **own, min_tokens=int(machine.suppress))


def _generation(
    key: str, sample: int, done: Machine, tokenizer: Any, delimiter: tuple[int, ...]
) -> Generation:
    ended = (done.outcome, done.waits_used, done.finish_reason)
    made = Generation(key, sample, done.segments, *ended)
    answer = made.token_ids("answer", "sampled")
    # A second close, in whole or in part, is no part of the answer's text.
    while repeated := len(os.path.commonprefix([tuple(answer), delimiter])):
        answer = answer[repeated:]
    decode = partial(tokenizer.decode, clean_up_tokenization_spaces=False)
    thinking = decode(made.token_ids("thinking"))
    return replace(made, thinking=thinking, answer=decode(answer, skip_special_tokens=True))
