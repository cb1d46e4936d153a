"""Training: the loss does not depend on how it is computed, and no accident loses a good state."""

from __future__ import annotations

import contextlib
import copy
import json
import multiprocessing
import os
import resource
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from s1core import sft
from s1core.errors import InputError, RunError, S1Error
from s1core.records import Example, Problem, Trace
from s1core.sft import Encoded, SFTConfig, TrainResult, encode

CONFIG = SFTConfig(epochs=2, batch_size=4, lr=1e-2, max_seq_len=128, checkpoint_every=2, seed=3)


def train(*args: Any, **options: Any) -> TrainResult:
    """On the CPU, also where there is a GPU: these tests compare bytes."""
    return sft.train(*args, device="cpu", **options)


def examples(count: int = 10) -> list[Example]:
    random = np.random.default_rng(0)
    return [
        Example(
            Problem(f"Use {i} 7", "9"),
            Trace(" ".join("abcdefgh"[j] for j in random.integers(0, 8, 2 + 3 * i)), str(i)),
        )
        for i in range(count)
    ]


@pytest.fixture
def model(tiny_model: Any) -> Any:
    return copy.deepcopy(tiny_model)


@pytest.fixture(scope="session")
def encoded(tiny_tokenizer: Any) -> Encoded:
    return encode(examples(), tiny_tokenizer, max_seq_len=128)


@pytest.fixture(scope="session")
def run(tiny_model: Any, tiny_tokenizer: Any, encoded: Encoded) -> Any:
    """Train a fresh copy of the tiny model into a folder; raise after the step `stop`."""

    def go(out: Path, config: SFTConfig = CONFIG, stop: int = 0, **options: Any) -> TrainResult:
        def raise_at(row: dict[str, Any]) -> None:
            if row["step"] == stop:
                raise Stop

        rows = options.pop("rows", encoded)
        start = options.pop("model", None) or copy.deepcopy(tiny_model)
        return train(start, tiny_tokenizer, rows, config, out, **{"on_log": raise_at, **options})

    return go


@pytest.fixture(scope="session")
def undisturbed(run: Any, tmp_path_factory: Any) -> TrainResult:
    return run(tmp_path_factory.mktemp("undisturbed"))


class Stop(Exception):
    pass


def stopped(run: Any, out: Path, step: int) -> None:
    with pytest.raises(Stop):
        run(out, stop=step)


def losses(result: TrainResult) -> list[float]:
    return [row["loss"] for row in result.log]


def same_bytes(one: Path, other: Path) -> bool:
    return all(
        (one / name).read_bytes() == (other / name).read_bytes()
        for name in ("log.jsonl", "final/model.safetensors")
    )


def reference_loss(model: Any, rows: Any) -> Any:
    """The plain way: one example at a time through transformers, with torch's cross-entropy."""
    import torch

    summed = torch.zeros(())
    for row in rows:
        logits = model(input_ids=torch.tensor([row.token_ids])).logits[0, :-1]
        labels = torch.tensor(row.labels[1:])
        summed = summed + torch.nn.functional.cross_entropy(logits, labels, reduction="sum")
    return summed / sum(row.supervised for row in rows)


# -------------------------------------------------------------------- packed equals unpacked


def test_packed_gradients_equal_unpacked_ones(model: Any, encoded: Encoded) -> None:
    import torch

    from s1core.sft.engine import Engine
    from s1core.sft.processes import join

    rows = encoded.examples[:5]
    reference_loss(model, rows).backward()
    plain = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    engine = Engine(model, CONFIG, join("cpu"))
    (engine.packed(*engine._tensors(rows)) / sum(row.supervised for row in rows)).backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, plain[name], atol=1e-6, rtol=1e-4, msg=name)


@pytest.mark.parametrize(
    "how",
    [
        {"packing": False},
        {"micro_batch_tokens": 130},
        {"activation_checkpointing": True},
        {"loss_chunk_tokens": 7},
    ],
    ids=lambda how: next(iter(how)),
)
def test_the_loss_curve_does_not_depend_on_how_the_batch_is_computed(
    how: dict[str, Any], run: Any, undisturbed: TrainResult, tmp_path: Path
) -> None:
    result = run(tmp_path, replace(CONFIG, **how))
    assert losses(result) == pytest.approx(losses(undisturbed), rel=1e-4)


def test_the_losses_are_those_of_plain_transformers_and_torch(
    model: Any, encoded: Encoded, undisturbed: TrainResult
) -> None:
    """The oracle: unpacked forward, transformers' schedule and decay groups, torch's AdamW."""
    import torch
    from transformers import Trainer, get_cosine_schedule_with_warmup

    from s1core.sft.train import batch_at

    decayed = set(Trainer.get_decay_parameter_names(None, model))
    named = list(model.named_parameters())
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for n, p in named if n in decayed], "weight_decay": 1e-4},
            {"params": [p for n, p in named if n not in decayed], "weight_decay": 0.0},
        ],
        lr=CONFIG.lr,
        betas=(0.9, 0.95),
    )
    total = CONFIG.total_steps(len(encoded.examples))
    schedule = get_cosine_schedule_with_warmup(optimizer, int(np.ceil(0.05 * total)), total)
    for step, row in enumerate(undisturbed.log):
        loss = reference_loss(model.train(), batch_at(encoded, CONFIG, step))
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        assert row["lr"] == pytest.approx(schedule.get_last_lr()[0])
        assert row["loss"] == pytest.approx(loss.item(), rel=1e-4)
        assert row["grad_norm"] == pytest.approx(float(norm), rel=1e-3)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()


# ----------------------------------------------------------------------------------- results


def test_the_final_model_is_plain_safetensors_that_transformers_loads(
    undisturbed: TrainResult, tiny_tokenizer: Any, encoded: Encoded
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    loaded = AutoModelForCausalLM.from_pretrained(undisturbed.path)
    tokenizer = AutoTokenizer.from_pretrained(undisturbed.path)
    text = "<|im_start|>user\nUse 3 7  make\n\nA b<|im_end|>"
    assert tokenizer.encode(text) == tiny_tokenizer.encode(text)
    assert tokenizer.chat_template == tiny_tokenizer.chat_template
    assert reference_loss(loaded, encoded.examples).item() < undisturbed.log[0]["loss"]
    kinds = {path.suffix for path in undisturbed.path.iterdir()}
    assert kinds <= {".json", ".safetensors", ".jinja"}


def test_a_finished_run_is_returned_and_not_repeated(
    run: Any, encoded: Encoded, undisturbed: TrainResult
) -> None:
    assert (undisturbed.steps, undisturbed.tokens) == (6, 2 * encoded.tokens)
    assert undisturbed.supervised_tokens == 2 * encoded.supervised
    again = run(undisturbed.path.parent)
    assert again == replace(undisturbed, resumed_from=6)


def test_nothing_is_printed_where_there_is_no_terminal(
    run: Any, tmp_path: Path, capfd: Any
) -> None:
    seen: list[dict[str, Any]] = []
    run(tmp_path, replace(CONFIG, epochs=1), on_log=seen.append)
    assert capfd.readouterr() == ("", "")
    assert [row["step"] for row in seen] == [1, 2, 3]


# ----------------------------------------------------------------------------------- resuming


@pytest.mark.parametrize("step", [1, 3, 6])
def test_a_stopped_run_resumes_to_the_same_bytes(
    step: int, run: Any, undisturbed: TrainResult, tmp_path: Path
) -> None:
    stopped(run, tmp_path, step)
    assert run(tmp_path).resumed_from == (step - 1) // 2 * 2
    assert same_bytes(tmp_path, undisturbed.path.parent)


def _train_until_killed(out: str, threads: int) -> None:
    import torch

    from tests.helpers import tiny_model, tiny_tokenizer

    torch.set_num_threads(threads)  # bytes are equal for equal numbers of threads only

    def wait(row: dict[str, Any]) -> None:
        if row["step"] == 3:  # just after the first checkpoint
            time.sleep(600)

    rows = encode(examples(), tiny_tokenizer(), max_seq_len=128)
    train(tiny_model(), tiny_tokenizer(), rows, CONFIG, out, on_log=wait)


def test_a_run_killed_with_sigkill_resumes_to_the_same_bytes(
    run: Any, undisturbed: TrainResult, tmp_path: Path
) -> None:
    import torch

    process = multiprocessing.get_context("spawn").Process(
        target=_train_until_killed, args=[tmp_path, torch.get_num_threads()]
    )
    process.start()
    try:
        while not list(tmp_path.glob("checkpoints/step-*")) and process.is_alive():
            time.sleep(0.02)
        with pytest.raises(RunError, match="another process is training"):
            run(tmp_path)
    finally:
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
    assert not (tmp_path / "final").exists()
    run(tmp_path)
    assert same_bytes(tmp_path, undisturbed.path.parent)


def test_a_folder_of_another_run_is_refused_with_the_difference(
    run: Any, encoded: Encoded, tmp_path: Path
) -> None:
    from tests.helpers import tiny_model

    stopped(run, tmp_path, 3)
    fewer = replace(encoded, examples=encoded.examples[1:])
    for config, changes, what in (
        (replace(CONFIG, lr=1e-3), {}, r"lr \(0.01 there, 0.001 asked\)"),
        (CONFIG, {"rows": fewer}, "the data"),
        (CONFIG, {"model": copy.deepcopy(tiny_model(1))}, "the model"),
    ):
        with pytest.raises(RunError, match=f"differs in {what}: choose another folder, or delete"):
            run(tmp_path, config, **changes)
    (tmp_path / "run.json").unlink()
    with pytest.raises(S1Error, match="step-000002 cannot be read .*delete"):
        run(tmp_path, model=copy.deepcopy(tiny_model(0, 4)))


# ------------------------------------------------------------------------------------ accidents


def test_a_loss_that_is_not_finite_stops_with_step_keys_and_the_last_checkpoint(
    run: Any, model: Any, encoded: Encoded, tmp_path: Path
) -> None:
    from s1core.sft.train import batch_at

    def poison(row: dict[str, Any]) -> None:
        if row["step"] == 3:
            model.model.norm.weight.data.fill_(float("nan"))

    with pytest.raises(InputError) as error:
        run(tmp_path, model=model, on_log=poison)
    message = str(error.value)
    assert "of step 4 is not a finite number" in message
    assert all(example.key in message for example in batch_at(encoded, CONFIG, 3))
    assert "checkpoints/step-000002" in message
    assert [json.loads(line)["step"] for line in (tmp_path / "log.jsonl").open()] == [1, 2, 3]


def test_what_cannot_be_trained_on_is_refused(run: Any, encoded: Encoded, tmp_path: Path) -> None:
    masked = [replace(e, labels=(-100,) * len(e.labels)) for e in encoded.examples]
    with pytest.raises(InputError, match="every label is masked"):
        run(tmp_path, rows=replace(encoded, examples=tuple(masked)))
    long = Example(Problem("Use 1", "1"), Trace("a " * 400, "1"))
    with pytest.raises(InputError, match="attends over 512: set max_seq_len to at most 512"):
        run(tmp_path, SFTConfig(), rows=[long])


@contextlib.contextmanager
def files_of_at_most(limit: int) -> Iterator[None]:
    """A limit on the size of files: writing a longer one fails half-way, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("step", [3, 6])
def test_a_full_disk_keeps_the_last_good_checkpoint(
    step: int, run: Any, undisturbed: TrainResult, tmp_path: Path
) -> None:
    limited = contextlib.ExitStack()

    def fill_the_disk(row: dict[str, Any]) -> None:
        if row["step"] == step:
            limited.enter_context(files_of_at_most(20_000))

    with limited, pytest.raises(RunError, match=f"step-00000{step + step % 2} could not be saved"):
        run(tmp_path, on_log=fill_the_disk)
    kept = [path.name for path in (tmp_path / "checkpoints").iterdir()]
    assert kept == [f"step-{step // 2 * 2 - (step == 6) * 2:06d}"]
    run(tmp_path)
    assert same_bytes(tmp_path, undisturbed.path.parent)


def test_a_final_model_that_cannot_be_written_leaves_the_checkpoint_that_holds_the_training(
    run: Any, undisturbed: TrainResult, tmp_path: Path
) -> None:
    in_the_way = tmp_path / ".final.partial"
    in_the_way.write_text("a file where the folder would be")
    with pytest.raises(RunError, match="final model could not be written.*free some disk space"):
        run(tmp_path)
    assert not (tmp_path / "final").exists()
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-000006"]
    in_the_way.unlink()
    assert run(tmp_path).resumed_from == 6
    assert same_bytes(tmp_path, undisturbed.path.parent)


def test_a_disk_that_is_full_from_the_start_leaves_a_folder_that_can_be_used(
    run: Any, tmp_path: Path
) -> None:
    with files_of_at_most(10), pytest.raises(OSError, match="File too large"):
        run(tmp_path)
    assert run(tmp_path).steps == 6


# ------------------------------------------------------------------------- damaged files

HALF = object()
STATE, TENSORS = "checkpoints/step-000002/state.json", "checkpoints/step-000002/*.safetensors"
DAMAGE = {
    "an empty run.json": ("run.json", b"", "run.json is damaged.*delete that folder"),
    "half a run.json": ("run.json", HALF, "run.json is damaged.*delete that folder"),
    "a run.json of another shape": ("run.json", b"[1]", "run.json is damaged.*delete that folder"),
    "a run.json of another run": ("run.json", b"{}", "differs in epochs.*delete this one"),
    "half a state": (STATE, HALF, "state.json cannot be read.*"),
    "a state of another shape": (STATE, b'{"step": 2, "log": [3, 4]}', "state.json cannot be read"),
    "no state": (STATE, None, "state.json cannot be read.*delete"),
    "half the tensors": (TENSORS, HALF, "cannot be read.*delete"),
    "no tensors": (TENSORS, None, "cannot be read.*delete"),
    "garbled tensors": (TENSORS, b"x" * 99, "cannot be read.*"),
}


def damage(path: Path, content: Any) -> None:
    if content is None:
        path.unlink()
    else:
        half = path.read_bytes()[: path.stat().st_size // 2]
        path.write_bytes(half if content is HALF else content)


@pytest.mark.parametrize("what", DAMAGE)
def test_what_is_damaged_is_named_and_the_advice_works(
    what: str, run: Any, undisturbed: TrainResult, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    stopped(run, out, 3)
    pattern, content, message = DAMAGE[what]
    (path,) = out.glob(pattern)
    damage(path, content)
    with pytest.raises(S1Error, match=message) as error:
        run(out)
    assert "\n" not in str(error.value)
    shutil.rmtree(out if "run.json" in pattern else path.parent)
    assert run(out).resumed_from == 0
    assert same_bytes(out, undisturbed.path.parent)


@pytest.mark.parametrize("tail", [b"", b'{"step": ', b'{"step": 4}\n{"st', b"\0\0", HALF, None])
def test_a_torn_log_is_made_whole_from_the_checkpoint(
    tail: Any, run: Any, undisturbed: TrainResult, tmp_path: Path
) -> None:
    stopped(run, tmp_path, 3)
    log = tmp_path / "log.jsonl"
    whole = b"".join(log.read_bytes().splitlines(True)[:2])  # to the checkpoint
    damage(log, tail if tail in (HALF, None) else whole + tail)
    assert [row["step"] for row in run(tmp_path).log] == [1, 2, 3, 4, 5, 6]
    assert same_bytes(tmp_path, undisturbed.path.parent)


def test_a_finished_run_whose_state_is_lost_is_not_taken_as_whole(run: Any, tmp_path: Path) -> None:
    run(tmp_path)
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(RunError, match="state.json cannot be read.*delete"):
        run(tmp_path)
