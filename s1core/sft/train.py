"""Fine-tuning from start to finish: order of the data, log, checkpoints, resuming, final model. A
run killed at any time and started again has the log and the final weights of an undisturbed run, to
the byte on one machine with one number of threads: all randomness is by the seed and the step."""

import contextlib
import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from filelock import FileLock, Timeout
from tqdm import tqdm

from s1core.errors import InputError, RunError
from s1core.records import Example, to_json, write_atomically, write_jsonl
from s1core.sft import checkpoint
from s1core.sft.config import SFTConfig
from s1core.sft.encode import Encoded, encode

T = TypeVar("T")
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TrainResult:
    """A finished fine-tuning run."""

    path: Path  # folder with plain safetensors and the tokenizer, for transformers and vLLM
    steps: int  # optimizer steps made (315 in the paper)
    log: tuple[Row, ...]  # per step: step, epoch, loss, lr, grad_norm, tokens, supervised_tokens
    tokens: int  # over all steps, as are
    supervised_tokens: int
    data: str  # what encoding did (`Encoded.report`)


def batch_at(examples: Sequence[T], config: SFTConfig, step: int) -> list[T]:
    """The global batch of optimizer step `step` (from 0); the last of an epoch may be smaller. The
    order of an epoch is a permutation that depends on the seed and the epoch alone."""
    epoch, place = divmod(step, config.steps_per_epoch(len(examples)))
    order = np.random.default_rng([config.seed, epoch]).permutation(len(examples)).tolist()
    start = place * config.batch_size
    return [examples[i] for i in order[start : start + config.batch_size]]


def train(
    model: str | Path,
    tokenizer: Any,
    examples: Sequence[Example] | Encoded,
    config: SFTConfig,
    out_dir: str | Path,
    *,
    progress: bool = True,
    device: str | None = None,
) -> TrainResult:
    """Fine-tune `model` on `examples` (Section 4.1, Appendix D); every process calls it alike.

    Args:
        model: the folder of a transformers checkpoint; `tokenizer` is its own.
        out_dir: holds `run.json`, `log.jsonl`, `checkpoints/` and, at the end, `final/`; what it
            holds is continued. Several nodes need a file system they share.
        progress: a bar, in terminals only.
        device: where to compute; default: a GPU when there is one.

    InputError: nothing to train on, a model that cannot be, or a loss that is not finite. RunError:
    `out_dir` belongs to another run or another process or is damaged, or a checkpoint could not be
    saved. Whatever checkpoint was complete before stays.
    """
    from s1core.sft.engine import join

    if not isinstance(examples, Encoded):
        how = config.template, config.max_seq_len, config.on_too_long
        examples = encode(examples, tokenizer, *how)
    if not examples.examples or not examples.supervised:
        raise InputError("nothing to train on: every label is masked; check the chat template")
    group, out = join(device), Path(out_dir)
    out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out / ".lock", timeout=0) if group.rank == 0 else contextlib.nullcontext():
            group.wait()
            checkpoint.quiet()
            return _Run(tokenizer, examples, config, out, group).go(Path(model), progress)
    except Timeout:
        raise RunError(f"another process is training in {out}: choose another folder") from None


@dataclass
class _Run:
    tokenizer: Any
    encoded: Encoded
    config: SFTConfig
    out: Path
    group: Any

    def go(self, model: Path, progress: bool) -> TrainResult:
        from s1core.sft import loading

        fingerprint, dtype, build = loading.prepare(model, self.encoded, self.config, self.group)
        facts = {"the data": self.encoded.fingerprint, "the model": fingerprint}
        identity = json.loads(json.dumps(self.config.what() | facts))
        _check_identity(self.out / "run.json", identity)
        self.group.wait()  # all processes look before the first writes
        newest = checkpoint.latest(self.out / "checkpoints")
        source = self.out if (self.out / "final").is_dir() else newest
        # The log of a checkpoint replaces that of the session that was killed.
        self.log = checkpoint.read_log(source) if source else []
        first = len(self.log)
        if source != self.out:
            engine = build()
            if source is not None:
                advice = f"delete {source} and start the same run again, from its beginning"
                tensors = engine.state(first)
                checkpoint.read_tensors(source, tensors, self.group.mesh is None, advice)
            if self.group.rank == 0:  # what an earlier start left of these is replaced whole
                write_atomically(self.out / "run.json", [json.dumps(identity, indent=1) + "\n"])
                write_jsonl(self.out / "log.jsonl", self.log)
            self._steps(engine, first, progress)
            self._finish(engine, dtype)
        counts = (sum(row[name] for row in self.log) for name in ("tokens", "supervised_tokens"))
        made = len(self.log), tuple(self.log), *counts
        return TrainResult(self.out / "final", *made, self.encoded.report())

    def _steps(self, engine: Any, first: int, progress: bool) -> None:
        examples, root = len(self.encoded.examples), self.out / "checkpoints"
        total, per_epoch = self.config.total_steps(examples), self.config.steps_per_epoch(examples)
        every = self.config.checkpoint_every or per_epoch
        off = None if progress and self.group.rank == 0 else True  # None: only in terminals
        bar = tqdm(total=total, initial=first, desc="SFT", unit="step", disable=off)
        with bar, open(self.out / "log.jsonl", "a", encoding="utf-8") as log:
            for step in range(first, total):
                lr = self.config.lr_at(step, total)
                batch = batch_at(self.encoded.examples, self.config, step)
                stats = engine.step(batch, lr, seed=self.config.seed * 1_000_003 + step)
                loss, norm = stats["loss"], stats["grad_norm"]
                if not math.isfinite(loss + norm):
                    found = f"the loss ({loss}) or gradient norm ({norm}) of step {step + 1}"
                    kept = f"the last good checkpoint is {checkpoint.latest(root)}"
                    keys = ", ".join(example.key for example in batch)
                    raise InputError(f"{found} is not finite; {kept}: lower lr, or look at {keys}")
                row = {"step": step + 1, "epoch": round((step + 1) / per_epoch, 6)}
                row |= {"loss": loss, "lr": lr, **stats}
                self.log.append(row)
                if self.group.rank == 0:
                    log.write(to_json(row) + "\n")
                    log.flush()
                    bar.set_postfix_str(f"loss {loss:.4f}", refresh=False)
                    bar.update()
                if (step + 1) % every == 0 or step + 1 == total:
                    checkpoint.save(root, engine.state(), self.log, self.group)

    def _finish(self, engine: Any, dtype: Any) -> None:
        from s1core.sft.loading import stop_at

        partial, final, root = (self.out / n for n in (".final.partial", "final", "checkpoints"))
        stop_at(engine.model, self.encoded, self.tokenizer)
        if self.group.rank == 0:
            shutil.rmtree(partial, ignore_errors=True)
        try:
            checkpoint.save_model(engine.model, partial, dtype, self.group.rank == 0)
            if self.group.rank == 0:
                checkpoint.save_tokenizer(self.tokenizer, partial)
                checkpoint.write_log(self.out, self.log)
                checkpoint.publish(partial, final)
                shutil.rmtree(root, ignore_errors=True)
        except Exception as error:  # safetensors, tokenizers and the OS each raise their own
            failed = f"the final model could not be written to {final} ({error}): free some disk"
            again = f"space and start the same run again, from {checkpoint.latest(root)}"
            raise RunError(f"{failed} {again}") from error
        self.group.wait()


def _check_identity(path: Path, identity: dict[str, Any]) -> None:
    """Refuse a folder that holds another run, by its `run.json`."""
    try:
        there = dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else identity
    except (ValueError, TypeError) as error:
        raise RunError(f"{path} is damaged: delete that folder to start over") from error
    for name, value in identity.items():
        if there.get(name) != value:
            both = "" if " " in name else f" ({there.get(name)} there, {value} asked)"
            found = f"{path.parent} holds a run that differs in {name}{both}"
            raise RunError(f"{found}: choose another folder, or delete this one to start over")
