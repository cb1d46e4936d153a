"""Fine-tuning from start to finish: order of the data, log, checkpoints, resuming, final model.

`train` is the paper's supervised fine-tuning (Section 4.1, Appendix D) for one process or, under
`torchrun`, many. It can be killed at any time and started again with the same call: the log and
the final weights are then those of an undisturbed run, to the byte on one machine with the same
number of threads. The order of the data and all randomness are functions of the seed and the
step, so nothing about them needs saving.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s1core.errors import InputError, RunError
from s1core.records import Example, to_json, write_atomically, write_jsonl
from s1core.sft import checkpoint
from s1core.sft.config import SFTConfig
from s1core.sft.encode import Encoded, EncodedExample, encode

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from s1core.sft.engine import Engine
    from s1core.sft.processes import Group

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TrainResult:
    """A finished fine-tuning run.

    Attributes:
        path: folder with plain safetensors and the tokenizer, for transformers and vLLM.
        steps: optimizer steps made (315 in the paper).
        log: one row per step: step, epoch, loss, lr, grad_norm, tokens, supervised_tokens.
        tokens, supervised_tokens: over all steps.
        seconds: time spent training, over all sessions of a resumed run.
        resumed_from: the step this call started from; `steps` when the run was already finished.
        data: what encoding did (`Encoded.report`).
    """

    path: Path
    steps: int
    log: tuple[Row, ...]
    tokens: int
    supervised_tokens: int
    seconds: float
    resumed_from: int
    data: str


def data_order(examples: int, epoch: int, seed: int) -> list[int]:
    """The order of one epoch: a permutation that depends on the seed and the epoch alone."""
    import numpy as np

    return np.random.default_rng([seed, epoch]).permutation(examples).tolist()


def batch_at(encoded: Encoded, config: SFTConfig, step: int) -> list[EncodedExample]:
    """The global batch of optimizer step `step` (from 0); the last of an epoch may be smaller."""
    per_epoch = config.steps_per_epoch(len(encoded.examples))
    epoch, place = divmod(step, per_epoch)
    order = data_order(len(encoded.examples), epoch, config.seed)
    start = place * config.batch_size
    return [encoded.examples[i] for i in order[start : start + config.batch_size]]


def train(
    model: PreTrainedModel | str | Path,
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example] | Encoded,
    config: SFTConfig,
    out_dir: str | Path,
    *,
    progress: bool = True,
    on_log: Callable[[Row], None] | None = None,
    device: str | None = None,
) -> TrainResult:
    """Fine-tune `model` on `examples` (Section 4.1, Appendix D).

    Args:
        model: a model, changed in place, or the folder of a transformers checkpoint. Under
            `torchrun` every process passes the same; a folder is read shard by shard. On a GPU
            and under `torchrun` a model is left sharded: generate with one loaded from `path`.
        tokenizer: its tokenizer, written beside the final model.
        examples: what to train on, or already encoded.
        config: the recipe; `SFTConfig()` is the paper's.
        out_dir: holds `run.json`, `log.jsonl`, `checkpoints/` and, at the end, `final/`; what it
            holds is continued. Several nodes need a file system they share.
        progress: a progress bar, in terminals only.
        on_log: called with each row of the log as it is made.
        device: where to compute; default: a GPU when there is one.

    Raises:
        InputError: nothing to train on, a model that cannot be trained on it, or a loss that is
            not finite.
        RunError: `out_dir` belongs to another run or another process or is damaged, or a
            checkpoint could not be saved. Whatever checkpoint was complete before stays.
    """
    from filelock import FileLock, Timeout

    from s1core.sft.processes import join

    if not isinstance(examples, Encoded):
        examples = encode(
            examples, tokenizer, config.template, config.max_seq_len, config.on_too_long
        )
    if not examples.examples or not examples.supervised:
        raise InputError("nothing to train on: every label is masked; check the chat template")
    group, out = join(device), Path(out_dir)
    out.mkdir(parents=True, exist_ok=True)
    lock = FileLock(out / ".lock")
    try:
        if group.first:
            lock.acquire(timeout=0)
    except Timeout:
        pass
    if not group.all_well(lock.is_locked or not group.first):
        raise RunError(f"another process is training in {out}: wait, or choose another folder")
    try:
        return _Run(tokenizer, examples, config, out, group, on_log).go(model, progress)
    finally:
        lock.release()


@dataclass
class _Run:
    tokenizer: Any
    encoded: Encoded
    config: SFTConfig
    out: Path
    group: Group
    on_log: Callable[[Row], None] | None
    log: list[Row] = field(default_factory=list)
    seconds: float = 0.0

    def go(self, model: Any, progress: bool) -> TrainResult:
        from s1core.sft import loading

        self.total = self.config.total_steps(len(self.encoded.examples))
        started = loading.prepare(model, self.encoded, self.config, self.group)
        identity = self.config.what() | {
            "the data": self.encoded.fingerprint,
            "the model": started.fingerprint,
        }
        self._check_identity(identity)
        if (self.out / "final").is_dir():
            first = self._take(checkpoint.read_state(self.out))
            return self._result(first)
        engine = started.engine()
        try:
            first = self._restore(engine)
            if self.group.first:  # whatever an earlier start left of these is replaced whole
                write_atomically(self.out / "run.json", [json.dumps(identity, indent=1) + "\n"])
                write_jsonl(self.out / "log.jsonl", self.log)
            self._steps(engine, first, progress)
            self._finish(engine, started.dtype)
        finally:
            engine.release()
        return self._result(first)

    def _check_identity(self, identity: dict[str, Any]) -> None:
        """Refuse a folder that holds another run; all processes look before the first writes."""
        path = self.out / "run.json"
        try:
            there = dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None
        except (ValueError, TypeError) as error:
            raise RunError(
                f"{path} is damaged, so what run {self.out} holds cannot be told: delete that "
                "folder to start over"
            ) from error
        differing = [
            name if name.startswith("the ") else f"{name} ({there.get(name)} there, {value} asked)"
            for name, value in json.loads(json.dumps(identity)).items()
            if there is not None and there.get(name) != value
        ]
        if differing:
            raise RunError(
                f"{self.out} holds a run that differs in {', '.join(differing)}: choose another "
                "folder, or delete this one to start over (a model trained in place is another)"
            )
        self.group.all_well(True)

    # ------------------------------------------------------------------------------ steps

    def _restore(self, engine: Engine) -> int:
        """Continue from the newest checkpoint, whose log replaces that of the killed session."""
        path = checkpoint.latest(self.out / "checkpoints")
        if path is None:
            return 0
        state = checkpoint.read_state(path)
        advice = f"delete {path} and start the same run again, from its beginning"
        tensors = engine.state(state["step"])
        checkpoint.read_tensors(path, tensors, self.group.mesh is None, advice)
        return self._take(state)

    def _take(self, state: dict[str, Any]) -> int:
        self.log, self.seconds = state["log"], state["seconds"]
        return state["step"]

    def _steps(self, engine: Engine, first: int, progress: bool) -> None:
        from tqdm import tqdm

        per_epoch = self.config.steps_per_epoch(len(self.encoded.examples))
        every = self.config.checkpoint_every or per_epoch
        quiet = None if progress and self.group.first else True  # None: only in terminals
        began = time.perf_counter() - self.seconds
        bar = tqdm(total=self.total, initial=first, desc="SFT", unit="step", disable=quiet)
        with bar, open(self.out / "log.jsonl", "a", encoding="utf-8") as log:
            for step in range(first, self.total):
                row = self._one(engine, step, per_epoch)
                self.log.append(row)
                if self.group.first:
                    log.write(to_json(row) + "\n")
                    log.flush()
                    bar.set_postfix_str(f"loss {row['loss']:.4f}", refresh=False)
                    bar.update()
                    if self.on_log is not None:
                        self.on_log(row)
                if (step + 1) % every == 0 or step + 1 == self.total:
                    self.seconds = time.perf_counter() - began
                    root = self.out / "checkpoints"
                    checkpoint.save(root, engine.state(), self._state(), self.group)

    def _state(self) -> dict[str, Any]:
        return {"step": len(self.log), "seconds": self.seconds, "log": self.log}

    def _one(self, engine: Engine, step: int, per_epoch: int) -> Row:
        batch = batch_at(self.encoded, self.config, step)
        lr = self.config.lr_at(step, self.total)
        stats = engine.step(batch, lr, seed=self.config.seed * 1_000_003 + step)
        if not (math.isfinite(stats["loss"]) and math.isfinite(stats["grad_norm"])):
            last = checkpoint.latest(self.out / "checkpoints")
            raise InputError(
                f"the loss ({stats['loss']}) or the gradient norm ({stats['grad_norm']}) of step "
                f"{step + 1} is not a finite number; its examples are "
                f"{', '.join(example.key for example in batch)}; the weights were not updated and "
                f"the last good checkpoint is {last or 'none'}: look at these examples, or lower lr"
            )
        epoch = round((step + 1) / per_epoch, 6)
        return {"step": step + 1, "epoch": epoch, "loss": stats["loss"], "lr": lr, **stats}

    def _finish(self, engine: Engine, dtype: Any) -> None:
        from s1core.sft import loading

        partial, final = self.out / ".final.partial", self.out / "final"
        problem: Exception | None = None
        if self.group.first:
            shutil.rmtree(partial, ignore_errors=True)
        try:
            loading.stop_at(engine.model, self.encoded, self.tokenizer)
            checkpoint.save_model(engine.model, partial, dtype, self.group.first)
            if self.group.first:
                checkpoint.save_tokenizer(self.tokenizer, partial)
                for file in partial.iterdir():
                    checkpoint.sync(file)
                write_atomically(self.out / "state.json", [to_json(self._state())])
                os.replace(partial, final)
                checkpoint.sync(self.out)
        except Exception as error:  # safetensors, tokenizers and the OS each raise their own
            problem = error
        if not self.group.all_well(problem is None):
            shutil.rmtree(partial, ignore_errors=True)
            raise RunError(
                f"the final model could not be written to {final} ({problem}): training is done "
                f"and {checkpoint.latest(self.out / 'checkpoints')} holds it; free some disk space "
                "and start the same run again"
            ) from problem
        if self.group.first:
            shutil.rmtree(self.out / "checkpoints", ignore_errors=True)

    def _result(self, resumed_from: int) -> TrainResult:
        return TrainResult(
            path=self.out / "final",
            steps=len(self.log),
            log=tuple(self.log),
            tokens=sum(row["tokens"] for row in self.log),
            supervised_tokens=sum(row["supervised_tokens"] for row in self.log),
            seconds=self.seconds,
            resumed_from=resumed_from,
            data=self.encoded.report(),
        )
