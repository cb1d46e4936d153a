"""The whole flow under one profile: select, fine-tune, force budgets, grade, tabulate.

Each method is an arrow of the flow and returns a finished `Run`: made now, continued from where a
killed process left it, or taken from the store. Notebooks and the command line ask here and
nowhere else, so they always mean the same results. What is measured is described in
`s1lab.experiments`. Nothing is printed; nothing is plotted.
"""

from __future__ import annotations

import gc
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from s1core.checkpoints import identify, load_tokenizer, locate
from s1core.errors import RunError
from s1core.records import Example, Generation, Problem, read_jsonl, write_jsonl
from s1lab import experiments, profiles
from s1lab.data import benchmarks
from s1lab.data.sources import SUBSETS
from s1lab.engines import load_engine
from s1lab.evaluation.measure import UNLIMITED, Point, asked, point, resume, tabulate
from s1lab.experiments import Condition, Training
from s1lab.profiles import Profile
from s1lab.runs import Run, RunStore, run_name

if TYPE_CHECKING:
    from s1core.backends.base import Backend
    from s1core.selection import BenchmarkIndex, Candidate, SelectionConfig
    from s1lab.steps import Step

Log = Callable[[str], None]

STAMP_VARIABLE = "S1CORE_STAMP"
"""Names a word that is written across every figure (see `s1lab.figures.display`)."""

KEPT_TRACES = 12
"""Questions of each run whose generations are kept among the small files, for people to read."""


class Pipeline:
    """A profile, and the store its results live in.

    Args:
        profile: what to compute; what `missing` names is left out of it.
        store: where results are kept.
        progress: show progress bars (in terminals only).
        say: called with one line when a run is started.
    """

    def __init__(
        self, profile: Profile, store: RunStore, *, progress: bool = False, say: Log | None = None
    ) -> None:
        if profile.rehearsal:  # whoever draws its runs, and wherever
            os.environ.setdefault(STAMP_VARIABLE, "rehearsal")
        self.whole = profile
        self.missing = store.missing(profile.name)
        self.profile = profile.without(self.missing)
        self.store = store
        self.progress = progress
        self.say = say or (lambda line: None)
        self._engine: tuple[str, Backend] | None = None

    # ------------------------------------------------------------------- data and models

    @cached_property
    def curated(self) -> Pipeline:
        """The pipeline whose pool is curated from its raw state: this one, or where the pool is a
        released set, that of the profile named in `curation`, over the same store."""
        if not self.profile.curation:
            return self
        chosen = profiles.load(self.profile.curation).with_seed(self.profile.seed)
        return Pipeline(chosen, self.store, progress=self.progress, say=self.say)

    @cached_property
    def model_id(self) -> str:
        """What identifies the base model: its name, and its digest when it ships with s1core."""
        return identify(self.profile.model)

    def problems(self, benchmark: str) -> list[Problem]:
        """The questions of a benchmark that the profile asks for, in a fixed order."""
        return benchmarks.load(benchmark, limit=self.profile.evaluation.questions)

    def _pocket_pool(self) -> list[Any]:
        from s1lab.pocket.pool import build_pool

        if self.profile.pool != "pocket":
            raise RunError(
                f"the pool {self.profile.pool!r} comes selected; only the pocket pool is curated "
                "from its raw state here"
            )
        return build_pool(self.profile.seed, self.profile.pool_size)

    def backend(self, model: str | Path) -> Backend:
        """The engine of the profile over a model: a folder, a Hub id, or `pocket-large`.

        The last one is kept: runs of one checkpoint after another share it.
        """
        if self._engine is None or self._engine[0] != str(model):
            self.release()
            self._engine = str(model), load_engine(self.profile, model)
        return self._engine[1]

    def release(self) -> None:
        """Let go of the engine, so that its memory is free for another one or for training."""
        engine, self._engine = self._engine, None
        close = getattr(engine[1], "close", None) if engine else None
        if close:
            close()
        del engine, close
        gc.collect()

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
        from s1lab.pocket.pool import solved

        pool = [row.example.problem for row in self._pocket_pool()]
        self.say(f"difficulty: {len(pool):,} questions, {' and '.join(self.profile.graders)}")
        columns = [
            solved(
                self.backend(name),
                pool,
                self.profile.template,
                self.profile.evaluation.max_answer,
                progress=self.progress,
            )
            for name in self.profile.graders
        ]
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
        from s1lab.pocket.pool import evaluation_index, pocket_candidates, pocket_config

        solved = self.difficulty().read_table("solved.csv")
        candidates = pocket_candidates(self._pocket_pool(), solved)
        return candidates, evaluation_index(), pocket_config(self.profile.selected)

    def _select(self, run: Run, subset: str) -> None:
        from s1core import selection
        from s1lab.data.baselines import BASELINES

        candidates, index, config = self.curation()
        rng = np.random.default_rng([self.profile.seed, 1000])
        if subset == "s1":
            chosen, funnel = selection.select(candidates, index, config, rng)
            run.write_json("funnel.json", funnel.to_json())
        else:
            clean, _, _ = selection.curate(candidates, index, config)
            chosen = BASELINES[subset](clean, self.profile.selected, rng)
        chosen_examples = [candidate.example for candidate in chosen]
        if subset == "s1":
            run.write_records("examples.jsonl", chosen_examples)  # for people to read
        write_jsonl(run.path / "examples.jsonl", chosen_examples)
        keys = "\n".join(example.problem.key for example in chosen_examples)
        run.write_json(
            "summary.json",
            {
                "examples": len(chosen),
                "domains": len({c.domain for c in chosen}),
                "mean_thinking_tokens": float(np.mean([c.thinking_tokens for c in chosen])),
                "correct_traces": sum(bool(c.trace_correct) for c in chosen),
                "keys_sha256": hashlib.sha256(keys.encode()).hexdigest(),
            },
        )

    def examples(self, subset: str = "s1") -> list[Example]:
        """The training examples of a subset, in the order of selection."""
        if self.profile.pool != "pocket":
            from s1lab.data import examples

            return examples(SUBSETS.get(subset, self.profile.pool))
        run = self.selection(subset)
        path = run.path / "examples.jsonl"
        if not path.exists():  # committed results hold what people read
            path = run.path / "public" / "examples.jsonl"
        return list(read_jsonl(path, Example))

    # ------------------------------------------------------------------------ fine-tuning

    def checkpoint(self, training: Training | None = None) -> Run:
        """Fine-tune the base model (Section 4.1), by default as the paper's recipe has it.

        The model is in `run.path / "sft" / "final"`; the log is the public file `log.jsonl`.
        """
        training = training or Training()
        settings = self._checkpoint_settings(training)
        return self.store.ensure("sft", settings, lambda run: self._train(run, training, settings))

    def _checkpoint_settings(self, training: Training) -> dict[str, Any]:
        data = SUBSETS.get(training.subset, self.profile.pool)
        if self.profile.pool == "pocket":
            data = run_name("selection", self._selection_settings(training.subset))
        settings = {
            "model": self.model_id,
            "data": data,
            "sft": {**self.profile.sft, "seed": self.profile.seed, **dict(training.changes)},
            "template": self.profile.template,
        }
        return settings | ({"control": training.control} if training.control else {})

    def _train(self, run: Run, training: Training, settings: dict[str, Any]) -> dict[str, Any]:
        from s1core.sft import SFTConfig, train
        from s1lab.spawn import spawn

        self.release()
        base = locate(self.profile.model)
        tokenizer = load_tokenizer(base)
        examples = self.instructed(training, tokenizer)
        config = SFTConfig(**settings["sft"], template=self.profile.template)
        self.say(f"sft: {len(examples):,} examples ({training.label}), {config.epochs} epochs")
        if self.profile.gpus or self.profile.processes > 1 or self.profile.rehearsal:
            result = spawn(base, examples, config, run.path / "sft", self.profile.processes)
        else:
            import torch

            if self.profile.threads:
                torch.set_num_threads(self.profile.threads)
            result = train(
                base, tokenizer, examples, config, run.path / "sft", progress=self.progress
            )
        run.write_records("log.jsonl", result.log)
        return {
            "steps": result.steps,
            "tokens": result.tokens,
            "supervised_tokens": result.supervised_tokens,
            "examples": len(examples),
            "encoding": result.data,
        }

    def instructed(self, training: Training, tokenizer: Any) -> list[Example]:
        """What a training reads: a subset, its questions naming the budget of their trace where
        the training is for such control (Appendix E.1)."""
        from s1core.forcing import controls

        examples = self.examples(training.subset)
        if training.control == "tokens":
            return [controls.token_conditional(example, tokenizer) for example in examples]
        if training.control == "steps":
            separator = self.profile.methods.step_separator
            return [controls.step_conditional(example, separator) for example in examples]
        return examples

    # ------------------------------------------------------------------------- generation

    def run(self, condition: Condition) -> Run:
        """Generate and grade under one condition (Section 3.1).

        Public files: `grades.csv`, one row per generation, and `traces.jsonl`, the generations of
        the first questions. All generations, with their token ids, are the run's records.
        """
        settings = self._generation_settings(condition)
        return self.store.ensure("generate", settings, lambda run: self._generate(run, condition))

    def point(self, condition: Condition) -> Point:
        """Summarise the run of a condition: what it cost and what it gave."""
        return point(condition.label, condition.kind, condition.budget, self.run(condition))

    def points(self, conditions: Sequence[Condition]) -> list[Point]:
        """`point` of each."""
        return [self.point(condition) for condition in conditions]

    def curve(self, benchmark: str | None = None) -> list[Point]:
        """Accuracy against thinking tokens: Figure 1 (budgets) and Figure 4a (Waits)."""
        return self.points(experiments.curve(self.profile, benchmark))

    def _generation_settings(self, condition: Condition) -> dict[str, Any]:
        checkpoint = self.model_id
        if condition.training is not None and condition.training.released:
            checkpoint = identify(self._released(condition.training)["model"])
        elif condition.training is not None:
            checkpoint = run_name("sft", self._checkpoint_settings(condition.training))
        settings = {
            "checkpoint": checkpoint,
            "benchmark": condition.benchmark,
            "questions": self.profile.evaluation.questions,
            "samples": condition.samples,
            "temperature": condition.temperature,
            "seed": self.profile.seed,
            "batch_size": self.profile.batch_size,
            "budget": asdict(condition.budget),
        }
        if condition.instruct:
            settings["instruct"] = list(condition.instruct)
        if condition.counts_steps:
            settings["steps"] = condition.steps or UNLIMITED
        if not condition.thinking:
            settings["thinking"] = False
        return settings

    def _released(self, training: Training) -> Mapping[str, Any]:
        return self.profile.released[training.released]

    def _generate(self, run: Run, condition: Condition) -> dict[str, Any]:
        problems = self.problems(condition.benchmark)
        self.say(f"generate: {len(problems)} questions of {condition.benchmark}, {condition.label}")
        model: str | Path = self.profile.model
        if condition.training is not None and condition.training.released:
            model = self._released(condition.training)["model"]
        elif condition.training is not None:
            model = self.checkpoint(condition.training).path / "sft" / "final"
        backend = self.backend(model)
        resume(
            run,
            backend,
            problems,
            condition.budget,
            samples=condition.samples,
            temperature=condition.temperature,
            seed=self.profile.seed,
            template=self.profile.template,
            progress=self.progress,
            **asked(condition, backend.tokenizer, self.profile.engine),
        )
        generations = sorted(run.records(Generation), key=_place(problems))
        kind = benchmarks.benchmark(condition.benchmark).kind
        run.write_table("grades.csv", tabulate(problems, generations, kind))
        first = {problem.key for problem in problems[:KEPT_TRACES]}
        run.write_records(
            "traces.jsonl",
            [g for g in generations if g.problem_key in first and g.sample == 0],
        )
        return {"generations": len(generations)}

    # ------------------------------------------------------------------------------ steps

    def steps(self) -> list[Step]:
        """Every run the book is made of, each after those it needs (see `s1lab.steps`)."""
        from s1lab.steps import steps

        return steps(self)

    def locate_difficulty(self) -> Run:
        """The run of `difficulty`, made or not."""
        return self.store.locate("difficulty", self._difficulty_settings())

    def locate_selection(self, subset: str = "s1") -> Run:
        """The run of `selection`, made or not."""
        return self.store.locate("selection", self._selection_settings(subset))

    def locate_checkpoint(self, training: Training) -> Run:
        """The run of `checkpoint`, made or not."""
        return self.store.locate("sft", self._checkpoint_settings(training))

    def locate_run(self, condition: Condition) -> Run:
        """The run of `run`, made or not."""
        return self.store.locate("generate", self._generation_settings(condition))


def _place(problems: Sequence[Problem]) -> Callable[[Generation], tuple[int, int]]:
    order = {problem.key: i for i, problem in enumerate(problems)}
    return lambda generation: (order[generation.problem_key], generation.sample)
