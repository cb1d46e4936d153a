"""Fine-tuning from start to finish: order of the data, log, checkpoints, resuming, final model.

`train` is the paper's supervised fine-tuning (Section 4.1, Appendix D) for one process or, under
`torchrun`, many. It can be killed at any time and started again with the same call: the log and
the final weights are then those of an undisturbed run, to the byte on one machine with the same
number of threads. The order of the data and all randomness are functions of the seed and the
step, so nothing about them needs saving.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s1core.errors import InputError
from s1core.records import Example, to_json, write_jsonl
from s1core.sft.config import SFTConfig
from s1core.sft.encode import Encoded, EncodedExample, encode

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from s1core.sft.engine import Engine
    from s1core.sft.group import Group


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
    log: tuple[dict[str, Any], ...]
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
    resume: bool = True,
    progress: bool = True,
    on_log: Callable[[dict[str, Any]], None] | None = None,
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
        out_dir: holds `log.jsonl`, `timings.json`, `checkpoints/` and, at the end, `final/`.
            Several nodes need a file system they share.
        resume: continue what `out_dir` holds; False starts over and deletes it.
        progress: a progress bar, in terminals only.
        on_log: called with each row of the log as it is made.
        device: where to compute; default: a GPU when there is one.

    Raises:
        InputError: nothing to train on, an example longer than the model, `out_dir` belongs to
            another run or another process, a loss that is not finite, or a checkpoint that could
            not be saved. Whatever checkpoint was complete before stays.
    """
    if not isinstance(examples, Encoded):
        examples = encode(
            examples, tokenizer, config.template, config.max_seq_len, config.on_too_long
        )
    if not examples.examples or not examples.supervised:
        raise InputError("nothing to train on: every label is masked; check the chat template")
    return _Run(model, tokenizer, examples, config, Path(out_dir), on_log).go(
        resume, progress, device
    )


@dataclass
class _Run:
    model: Any
    tokenizer: Any
    encoded: Encoded
    config: SFTConfig
    out: Path
    on_log: Callable[[dict[str, Any]], None] | None

    @property
    def total(self) -> int:
        return self.config.total_steps(len(self.encoded.examples))

    def go(self, resume: bool, progress: bool, device: str | None) -> TrainResult:
        from filelock import FileLock, Timeout

        from s1core.sft import group as groups

        group = groups.join(device)
        self.out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.out / ".lock")
        try:
            if group.first:
                lock.acquire(timeout=0)
        except Timeout:
            pass
        if not group.all_well(lock.is_locked or not group.first):
            raise InputError(f"another process is training in {self.out}: wait, or choose another")
        try:
            return self._locked(group, resume, progress)
        finally:
            lock.release()

    def _locked(self, group: Group, resume: bool, progress: bool) -> TrainResult:
        from s1core.sft import loading

        if not resume and group.first:
            for name in ("checkpoints", "final"):
                shutil.rmtree(self.out / name, ignore_errors=True)
            for name in ("log.jsonl", "run.json", "timings.json"):
                (self.out / name).unlink(missing_ok=True)
        group.all_well(True)
        started = loading.prepare(self.model, self.config, group)
        identity = {
            "settings": self.config.what(),
            "data": self.encoded.fingerprint,
            "model": started.fingerprint,
        }
        self._check_identity(identity, group)
        if (self.out / "final").is_dir():
            return self._result(self.total)
        engine = started.engine(max(self.encoded.lengths))
        try:
            first = self._restore(engine)
            self._steps(engine, first, progress)
            self._finish(engine, started.dtype)
        finally:
            engine.release()
        return self._result(first)

    def _check_identity(self, identity: dict[str, Any], group: Group) -> None:
        path = self.out / "run.json"
        identity = json.loads(json.dumps(identity))
        if path.exists():
            there = json.loads(path.read_text(encoding="utf-8"))
            differing = [
                f"{name} ({there['settings'].get(name)} there, {identity['settings'].get(name)} "
                "asked for)"
                for name in identity["settings"]
                if identity["settings"].get(name) != there["settings"].get(name)
            ]
            if identity["data"] != there["data"]:
                differing.append("the data")
            if identity["model"] != there["model"]:
                differing.append("the model (was it trained in place? then load it again)")
            if differing:
                raise InputError(
                    f"{self.out} holds a run that differs in {', '.join(differing)}: choose "
                    "another folder, or pass resume=False to start over"
                )
        elif group.first:
            from s1core.sft.checkpoint import write_synced

            write_synced(path, json.dumps(identity, indent=1, sort_keys=True) + "\n")
        group.all_well(True)

    # ------------------------------------------------------------------------------ steps

    def _restore(self, engine: Engine) -> int:
        from s1core.sft import checkpoint

        path = checkpoint.latest(self.out / "checkpoints")
        step = 0
        if path is not None:
            state, reader = checkpoint.open_checkpoint(path)
            step = state["step"]
            engine.restore(reader, step)
        rows = self._log()
        if engine.group.first and len(rows) != step:
            if len(rows) < step:
                raise InputError(f"{self.out}/log.jsonl lacks steps that {path} holds: start over")
            write_jsonl(self.out / "log.jsonl", rows[:step])
        engine.group.all_well(True)
        return step

    def _steps(self, engine: Engine, first: int, progress: bool) -> None:
        from tqdm import tqdm

        examples = len(self.encoded.examples)
        per_epoch = self.config.steps_per_epoch(examples)
        every = self.config.checkpoint_every or per_epoch
        quiet = None if progress and engine.group.first else True  # None: only in terminals
        began = time.perf_counter()
        bar = tqdm(total=self.total, initial=first, desc="SFT", unit="step", disable=quiet)
        with bar, open(self.out / "log.jsonl", "a", encoding="utf-8") as log:
            for step in range(first, self.total):
                row = self._one(engine, step, per_epoch)
                if engine.group.first:
                    log.write(to_json(row) + "\n")
                    log.flush()
                    bar.set_postfix_str(f"loss {row['loss']:.4f}", refresh=False)
                    bar.update()
                    if self.on_log is not None:
                        self.on_log(row)
                if (step + 1) % every == 0 or step + 1 == self.total:
                    os.fsync(log.fileno())
                    self._save(engine, step + 1, time.perf_counter() - began)
                    began = time.perf_counter()

    def _one(self, engine: Engine, step: int, per_epoch: int) -> dict[str, Any]:
        batch = batch_at(self.encoded, self.config, step)
        lr = self.config.lr_at(step, self.total)
        stats = engine.step(batch, lr, seed=self.config.seed * 1_000_003 + step)
        if not (abs(stats.loss) < float("inf") and abs(stats.grad_norm) < float("inf")):
            from s1core.sft import checkpoint

            last = checkpoint.latest(self.out / "checkpoints")
            raise InputError(
                f"the loss ({stats.loss}) or the gradient norm ({stats.grad_norm}) of step "
                f"{step + 1} is not a finite number; its examples are "
                f"{', '.join(example.key for example in batch)}; the weights were not updated and "
                f"the last good checkpoint is {last or 'none'}: look at these examples, or lower lr"
            )
        return {
            "step": step + 1,
            "epoch": round((step + 1) / per_epoch, 6),
            "loss": stats.loss,
            "lr": lr,
            "grad_norm": stats.grad_norm,
            "tokens": stats.tokens,
            "supervised_tokens": stats.supervised,
        }

    def _save(self, engine: Engine, step: int, seconds: float) -> None:
        from s1core.sft import checkpoint

        checkpoint.save(self.out / "checkpoints", step, engine.rows(), {}, engine.group)
        if engine.group.first:
            spent = self._timings().get("seconds", 0.0) + seconds
            text = json.dumps({"seconds": spent, "processes": engine.group.size})
            checkpoint.write_synced(self.out / "timings.json", text + "\n")

    def _finish(self, engine: Engine, dtype: Any) -> None:
        from s1core.sft import checkpoint

        partial, final = self.out / ".final.partial", self.out / "final"
        problem: Exception | None = None
        if engine.group.first:
            shutil.rmtree(partial, ignore_errors=True)
        try:
            engine.export(partial, self.tokenizer, dtype)
            if engine.group.first:
                for file in partial.iterdir():
                    checkpoint.sync(file)
                os.replace(partial, final)
                checkpoint.sync(self.out)
        except Exception as error:  # safetensors, tokenizers and the OS each raise their own
            problem = error
        if not engine.group.all_well(problem is None):
            shutil.rmtree(partial, ignore_errors=True)
            raise InputError(
                f"the final model could not be written to {final} ({problem}): training is done "
                f"and {checkpoint.latest(self.out / 'checkpoints')} holds it; free some disk space "
                "and start the same run again"
            ) from problem
        if engine.group.first and not self.config.keep_checkpoints:
            shutil.rmtree(self.out / "checkpoints", ignore_errors=True)

    # ----------------------------------------------------------------------------- results

    def _log(self) -> list[dict[str, Any]]:
        """The rows on disk; a last line that a kill cut short does not count."""
        rows: list[dict[str, Any]] = []
        path = self.out / "log.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        for line in lines:
            try:
                rows.append(json.loads(line))
            except ValueError:
                break
        return rows

    def _timings(self) -> dict[str, float]:
        try:
            return json.loads((self.out / "timings.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}

    def _result(self, resumed_from: int) -> TrainResult:
        log = tuple(self._log())
        return TrainResult(
            path=self.out / "final",
            steps=len(log),
            log=log,
            tokens=sum(row["tokens"] for row in log),
            supervised_tokens=sum(row["supervised_tokens"] for row in log),
            seconds=self._timings().get("seconds", 0.0),
            resumed_from=resumed_from,
            data=self.encoded.report(),
        )
