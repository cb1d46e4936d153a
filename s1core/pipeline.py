"""The whole flow under one profile: select, fine-tune, force budgets, grade, tabulate.

Each method is an arrow of the flow and returns a finished `Run`: made now, continued from where a
killed process left it, or taken from the store. Notebooks and the command line ask here and
nowhere else, so they always mean the same results. Nothing is printed; nothing is plotted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from s1core.checkpoints import identify, load_tokenizer, locate
from s1core.evaluation import benchmarks
from s1core.forcing import Budget
from s1core.measure import Point, point, resume, tabulate
from s1core.profiles import Profile
from s1core.records import Example, Generation, Problem
from s1core.runs import Run, RunStore, run_name

if TYPE_CHECKING:
    from s1core.backends.base import Backend
    from s1core.selection import BenchmarkIndex, Candidate, SelectionConfig

Log = Callable[[str], None]

KEPT_TRACES = 12
"""Questions of each run whose generations are kept among the small files, for people to read."""


class PipelineError(RuntimeError):
    """A profile that cannot be run here; the message says what is missing and what to do."""


@dataclass(frozen=True, slots=True)
class Step:
    """One run of a reproduction, before it is made.

    Attributes:
        label: what it is, for people.
        run: where it will be (or is) in the store.
        make: computes or continues it; returns the finished run.
        most_tokens: upper bound on the tokens it generates; 0 when it generates none.
    """

    label: str
    run: Run
    make: Callable[[], Run]
    most_tokens: int = 0


class Pipeline:
    """A profile, and the store its results live in.

    Args:
        profile: what to compute.
        store: where results are kept.
        progress: show progress bars (in terminals only).
        say: called with one line when a run is started.
    """

    def __init__(
        self, profile: Profile, store: RunStore, *, progress: bool = False, say: Log | None = None
    ) -> None:
        self.profile = profile
        self.store = store
        self.progress = progress
        self.say = say or (lambda line: None)

    # ------------------------------------------------------------------- data and models

    @cached_property
    def model_id(self) -> str:
        """What identifies the base model: its name, and its digest when it ships with s1core."""
        return identify(self.profile.model)

    def problems(self, benchmark: str) -> list[Problem]:
        """The questions of a benchmark that the profile asks for, in a fixed order."""
        return benchmarks.load(benchmark, limit=self.profile.evaluation.questions)

    def _pocket_pool(self) -> list[Any]:
        from s1core.pocket.pool import build_pool

        if self.profile.pool != "pocket":
            raise PipelineError(
                f"the pool {self.profile.pool!r} comes selected; only the pocket pool is curated "
                "from its raw state here"
            )
        return build_pool(self.profile.seed, self.profile.pool_size)

    def backend(self, model: str | Path) -> Backend:
        """The engine of the profile over a model: a folder, a Hub id, or `pocket-large`."""
        if self.profile.engine == "vllm":
            from s1core.backends.vllm import VLLMBackend

            return VLLMBackend.from_pretrained(
                locate(model), batch_size=self.profile.batch_size, seed=self.profile.seed
            )
        import torch
        from transformers.utils import logging

        from s1core.backends.hf import HFBackend

        logging.disable_progress_bar()  # "Loading weights", once per run
        if self.profile.threads:
            torch.set_num_threads(self.profile.threads)
        return HFBackend.from_pretrained(locate(model), batch_size=self.profile.batch_size)

    # -------------------------------------------------------------------------- selection

    def difficulty(self) -> Run:
        """Ask both graders every question of the pool, directly (Section 2.2, Difficulty)."""
        return self.store.ensure("difficulty", self._difficulty_settings(), self._grade_pool)

    def _difficulty_settings(self) -> dict[str, Any]:
        return {
            "pool": self.profile.pool,
            "pool_size": self.profile.pool_size,
            "seed": self.profile.seed,
            "graders": [identify(name) for name in self.profile.graders],
            "max_answer": self.profile.evaluation.max_answer,
        }

    def _grade_pool(self, run: Run) -> None:
        from s1core.evaluation import grade_text
        from s1core.forcing.direct import direct_answers

        pool = [row.example.problem for row in self._pocket_pool()]
        self.say(f"difficulty: {len(pool):,} questions, {' and '.join(self.profile.graders)}")
        columns = []
        for name in self.profile.graders:
            answers = direct_answers(
                self.backend(name),
                pool,
                template=self.profile.template,
                max_answer=self.profile.evaluation.max_answer,
                progress=self.progress,
            )
            columns.append(
                [
                    grade_text(problem, answer, "countdown").status == "correct"
                    for problem, answer in zip(pool, answers, strict=True)
                ]
            )
        run.write_table(
            "solved.csv",
            [
                {"problem_key": problem.key, "small": int(small), "large": int(large)}
                for problem, small, large in zip(pool, *columns, strict=True)
            ],
        )

    def selection(self, subset: str = "s1") -> Run:
        """Select examples from the pool; `subset` is "s1" or a baseline of Table 2."""
        settings = self._selection_settings(subset)
        return self.store.ensure("selection", settings, lambda run: self._select(run, subset))

    def _selection_settings(self, subset: str) -> dict[str, Any]:
        return {
            "difficulty": run_name("difficulty", self._difficulty_settings()),
            "selected": self.profile.selected,
            "seed": self.profile.seed,
            "subset": subset,
        }

    def curation(self) -> tuple[list[Candidate], BenchmarkIndex, SelectionConfig]:
        """What selection works on: the annotated pool, the evaluation questions that must not be
        in it, and the settings. The selected examples themselves are `selection`'s."""
        from s1core.pocket.curation import evaluation_index, pocket_candidates, pocket_config

        solved = self.difficulty().read_table("solved.csv")
        candidates = pocket_candidates(self._pocket_pool(), solved)
        return candidates, evaluation_index(), pocket_config(self.profile.selected)

    def _select(self, run: Run, subset: str) -> None:
        from s1core import selection
        from s1core.selection.ablations import BASELINES

        candidates, index, config = self.curation()
        rng = np.random.default_rng([self.profile.seed, 1000])
        if subset == "s1":
            chosen, funnel = selection.select(candidates, index, config, rng)
            run.write_json("funnel.json", funnel.to_json())
        else:
            clean, _, _ = selection.curate(candidates, index, config)
            chosen = BASELINES[subset](clean, self.profile.selected, rng)
        run.write_records("examples.jsonl", [candidate.example for candidate in chosen])
        run.write_json(
            "summary.json",
            {
                "examples": len(chosen),
                "domains": len({c.domain for c in chosen}),
                "mean_thinking_tokens": float(np.mean([c.thinking_tokens for c in chosen])),
                "correct_traces": sum(bool(c.trace_correct) for c in chosen),
            },
        )

    def examples(self, subset: str = "s1") -> list[Example]:
        """The selected training examples, in the order of selection."""
        from s1core.records import from_dict

        if self.profile.pool != "pocket":
            from s1core.data import examples

            return examples(self.profile.pool)
        rows = self.selection(subset).read_records("examples.jsonl")
        return [from_dict(Example, row) for row in rows]

    # ------------------------------------------------------------------------ fine-tuning

    def checkpoint(self, subset: str = "s1", **changes: Any) -> Run:
        """Fine-tune the base model on a subset (Section 4.1); `changes` replace SFT settings.

        The model is in `run.path / "sft" / "final"`; the log is the public file `log.jsonl`.
        """
        settings = self._checkpoint_settings(subset, changes)
        sft = settings["sft"]
        return self.store.ensure("sft", settings, lambda run: self._train(run, subset, sft))

    def _checkpoint_settings(self, subset: str, changes: dict[str, Any]) -> dict[str, Any]:
        data = self.profile.pool
        if data == "pocket":
            data = run_name("selection", self._selection_settings(subset))
        return {
            "model": self.model_id,
            "data": data,
            "sft": {**self.profile.sft, **changes},
            "seed": self.profile.seed,
            "template": self.profile.template,
        }

    def _train(self, run: Run, subset: str, sft: dict[str, Any]) -> dict[str, Any]:
        import torch

        from s1core.sft import SFTConfig, train

        if self.profile.threads:
            torch.set_num_threads(self.profile.threads)
        examples = self.examples(subset)
        base = locate(self.profile.model)
        config = SFTConfig(**sft, seed=self.profile.seed, template=self.profile.template)
        self.say(f"sft: {len(examples):,} examples ({subset}), {config.epochs} epochs")
        result = train(
            base,
            load_tokenizer(base),
            examples,
            config,
            run.path / "sft",
            progress=self.progress,
        )
        run.write_records("log.jsonl", result.log)
        return {
            "steps": result.steps,
            "tokens": result.tokens,
            "supervised_tokens": result.supervised_tokens,
            "examples": len(examples),
            "encoding": result.data,
        }

    # ------------------------------------------------------------------------- generation

    def budget(self, max_thinking: int | None = None, num_ignore: int = 0, **more: Any) -> Budget:
        """A budget of the profile: its own `max_thinking` and `max_answer` unless given."""
        evaluation = self.profile.evaluation
        return Budget(
            max_thinking=evaluation.max_thinking if max_thinking is None else max_thinking,
            num_ignore=num_ignore,
            max_answer=evaluation.max_answer,
            **more,
        )

    def generation(
        self, budget: Budget, benchmark: str | None = None, subset: str = "s1", **changes: Any
    ) -> Run:
        """Generate and grade under one budget (Section 3.1).

        Public files: `grades.csv`, one row per generation, and `traces.jsonl`, the generations of
        the first questions. All generations, with their token ids, are the run's records.
        """
        benchmark = benchmark or self.profile.evaluation.benchmarks[0]
        settings = self._generation_settings(budget, benchmark, subset, changes)
        return self.store.ensure(
            "generate",
            settings,
            lambda run: self._generate(run, budget, benchmark, subset, changes),
        )

    def _generation_settings(
        self, budget: Budget, benchmark: str, subset: str, changes: dict[str, Any]
    ) -> dict[str, Any]:
        evaluation = self.profile.evaluation
        return {
            "checkpoint": run_name("sft", self._checkpoint_settings(subset, changes)),
            "benchmark": benchmark,
            "questions": evaluation.questions,
            "samples": evaluation.samples,
            "temperature": evaluation.temperature,
            "seed": self.profile.seed,
            "batch_size": self.profile.batch_size,
            "budget": asdict(budget),
        }

    def _generate(
        self, run: Run, budget: Budget, benchmark: str, subset: str, changes: dict[str, Any]
    ) -> dict[str, Any]:
        problems = self.problems(benchmark)
        name = f"{budget.max_thinking} thinking tokens, {budget.num_ignore} Waits"
        self.say(f"generate: {len(problems)} questions of {benchmark}, {name}")
        backend = self.backend(self.checkpoint(subset, **changes).path / "sft" / "final")
        resume(
            run,
            backend,
            problems,
            budget,
            samples=self.profile.evaluation.samples,
            temperature=self.profile.evaluation.temperature,
            seed=self.profile.seed,
            template=self.profile.template,
            progress=self.progress,
        )
        generations = sorted(run.records(Generation), key=_place(problems))
        run.write_table(
            "grades.csv", tabulate(problems, generations, benchmarks.benchmark(benchmark).kind)
        )
        first = {problem.key for problem in problems[:KEPT_TRACES]}
        run.write_records(
            "traces.jsonl",
            [g for g in generations if g.problem_key in first and g.sample == 0],
        )
        return {"generations": len(generations)}

    # ---------------------------------------------------------------------------- figures

    def conditions(self) -> list[tuple[str, str, Budget]]:
        """(label, kind, budget) of every point of Figures 1 and 4a."""
        evaluation = self.profile.evaluation
        found = [
            (f"{cap} tokens", "budget", self.budget(cap)) for cap in sorted(evaluation.budgets)
        ]
        found.append(("no budget", "natural", self.budget()))
        found += [
            (f"Wait {n}x", "wait", self.budget(num_ignore=n)) for n in sorted(evaluation.waits)
        ]
        return found

    def curve(self, benchmark: str | None = None) -> list[Point]:
        """Accuracy against thinking tokens: Figure 1 (budgets) and Figure 4a (Waits)."""
        return [
            point(label, kind, budget, self.generation(budget, benchmark))
            for label, kind, budget in self.conditions()
        ]

    def steps(self) -> list[Step]:
        """Every run the book is made of, in the order in which they depend on each other.

        Nothing is computed: a step names its run, says what it will cost, and makes it on demand.
        """
        evaluation, locate = self.profile.evaluation, self.store.locate
        steps: list[Step] = []
        if self.profile.pool == "pocket":
            per_question = 2 * evaluation.max_answer
            steps += [
                Step(
                    "difficulty of the pool",
                    locate("difficulty", self._difficulty_settings()),
                    self.difficulty,
                    self.profile.pool_size * per_question,
                ),
                Step(
                    "selection",
                    locate("selection", self._selection_settings("s1")),
                    self.selection,
                    0,
                ),
            ]
        steps.append(
            Step("fine-tuning", locate("sft", self._checkpoint_settings("s1", {})), self.checkpoint)
        )
        for benchmark in evaluation.benchmarks:
            rows = benchmarks.benchmark(benchmark).rows
            count = min(rows, evaluation.questions or rows) * evaluation.samples
            for label, _, budget in self.conditions():
                steps.append(
                    Step(
                        f"{benchmark}, {label}",
                        locate("generate", self._generation_settings(budget, benchmark, "s1", {})),
                        partial(self.generation, budget, benchmark),
                        count * (budget.max_thinking + budget.max_answer),
                    )
                )
        return steps


def _place(problems: Sequence[Problem]) -> Callable[[Generation], tuple[int, int]]:
    order = {problem.key: i for i, problem in enumerate(problems)}
    return lambda generation: (order[generation.problem_key], generation.sample)
