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
def undisturbed(
    tiny_model: Any, tiny_tokenizer: Any, encoded: Encoded, tmp_path_factory: Any
) -> TrainResult:
    out = tmp_path_factory.mktemp("undisturbed")
    return train(copy.deepcopy(tiny_model), tiny_tokenizer, encoded, CONFIG, out)


def losses(result: TrainResult) -> list[float]:
    return [row["loss"] for row in result.log]


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


def test_packed_hidden_states_and_gradients_equal_unpacked_ones(
    model: Any, encoded: Encoded
) -> None:
    import torch

    from s1core.sft.engine import Engine
    from s1core.sft.processes import join

    rows = encoded.examples[:5]
    reference_loss(model, rows).backward()
    plain = {name: p.grad.clone() for name, p in model.named_parameters()}
    with torch.no_grad():
        logits = [model(input_ids=torch.tensor([row.token_ids])).logits[0] for row in rows]
    model.zero_grad()

    engine = Engine(model, CONFIG, join("cpu"))
    ids, targets, lengths = engine._tensors(rows)
    packed = engine.packed.hidden(ids, lengths) @ model.lm_head.weight.T
    torch.testing.assert_close(packed, torch.cat(logits), atol=2e-5, rtol=1e-5)
    (engine.packed(ids, targets, lengths) / sum(row.supervised for row in rows)).backward()
    for name, gradient in plain.items():
        got = dict(model.named_parameters())[name].grad
        torch.testing.assert_close(got, gradient, atol=1e-6, rtol=1e-4, msg=name)


def test_a_change_in_one_packed_example_does_not_reach_its_neighbours(
    model: Any, encoded: Encoded
) -> None:
    import torch

    from s1core.sft.engine import Engine
    from s1core.sft.processes import join

    engine = Engine(model, CONFIG, join("cpu"))
    ids, _, lengths = engine._tensors(encoded.examples[:3])
    changed = ids.clone()
    changed[lengths[0] + 2] = 7
    with torch.no_grad():
        before = engine.packed.hidden(ids, lengths).split(lengths)
        after = engine.packed.hidden(changed, lengths).split(lengths)
    assert torch.equal(before[0], after[0])
    assert not torch.equal(before[1], after[1])
    assert torch.equal(before[2], after[2])


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
    how: dict[str, Any],
    model: Any,
    tiny_tokenizer: Any,
    encoded: Encoded,
    undisturbed: TrainResult,
    tmp_path: Path,
) -> None:
    result = train(model, tiny_tokenizer, encoded, replace(CONFIG, **how), tmp_path)
    assert losses(result) == pytest.approx(losses(undisturbed), rel=1e-4)


def test_the_losses_are_those_of_plain_transformers_and_torch(
    model: Any, tiny_tokenizer: Any, encoded: Encoded, undisturbed: TrainResult
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
    assert {path.suffix for path in undisturbed.path.iterdir()} <= {
        ".json",
        ".safetensors",
        ".jinja",
    }


def test_every_token_of_every_epoch_is_counted(undisturbed: TrainResult, encoded: Encoded) -> None:
    assert undisturbed.steps == 6
    assert undisturbed.tokens == 2 * encoded.tokens
    assert undisturbed.supervised_tokens == 2 * encoded.supervised


def test_a_finished_run_is_returned_and_not_repeated(
    model: Any, tiny_tokenizer: Any, encoded: Encoded, undisturbed: TrainResult
) -> None:
    again = train(model, tiny_tokenizer, encoded, CONFIG, undisturbed.path.parent)
    assert again.log == undisturbed.log
    assert again.resumed_from == 6


def test_nothing_is_printed_where_there_is_no_terminal(
    model: Any, tiny_tokenizer: Any, encoded: Encoded, tmp_path: Path, capfd: Any
) -> None:
    seen: list[dict[str, Any]] = []
    train(model, tiny_tokenizer, encoded, replace(CONFIG, epochs=1), tmp_path, on_log=seen.append)
    assert capfd.readouterr() == ("", "")
    assert [row["step"] for row in seen] == [1, 2, 3]


# ----------------------------------------------------------------------------------- resuming


class Stop(Exception):
    pass


def stopped(
    model: Any,
    tokenizer: Any,
    encoded: Encoded,
    out: Path,
    step: int,
    config: SFTConfig = CONFIG,
) -> None:
    def stop(row: dict[str, Any]) -> None:
        if row["step"] == step:
            raise Stop

    with pytest.raises(Stop):
        train(model, tokenizer, encoded, config, out, on_log=stop)


def same_bytes(one: Path, other: Path) -> bool:
    return all(
        (one / name).read_bytes() == (other / name).read_bytes()
        for name in ("log.jsonl", "final/model.safetensors")
    )


@pytest.mark.parametrize("step", [1, 3, 6])
def test_a_stopped_run_resumes_to_the_same_bytes(
    step: int,
    model: Any,
    tiny_model: Any,
    tiny_tokenizer: Any,
    encoded: Encoded,
    undisturbed: TrainResult,
    tmp_path: Path,
) -> None:
    stopped(model, tiny_tokenizer, encoded, tmp_path, step)
    result = train(copy.deepcopy(tiny_model), tiny_tokenizer, encoded, CONFIG, tmp_path)
    assert result.resumed_from == (step - 1) // 2 * 2
    assert same_bytes(tmp_path, undisturbed.path.parent)


def _train_until_killed(out: str, threads: int) -> None:
    import torch

    from tests.helpers import tiny_model, tiny_tokenizer

    torch.set_num_threads(threads)  # bytes are equal for equal numbers of threads only

    def wait(row: dict[str, Any]) -> None:
        if row["step"] == 3:  # just after the first checkpoint
            time.sleep(600)

    tokenizer = tiny_tokenizer()
    rows = encode(examples(), tokenizer, max_seq_len=128)
    train(tiny_model(), tokenizer, rows, CONFIG, out, on_log=wait)


def test_a_run_killed_with_sigkill_resumes_to_the_same_bytes(
    model: Any,
    tiny_model: Any,
    tiny_tokenizer: Any,
    encoded: Encoded,
    undisturbed: TrainResult,
    tmp_path: Path,
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
            train(model, tiny_tokenizer, encoded, CONFIG, tmp_path)
    finally:
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
    assert not (tmp_path / "final").exists()
    train(copy.deepcopy(tiny_model), tiny_tokenizer, encoded, CONFIG, tmp_path)
    assert same_bytes(tmp_path, undisturbed.path.parent)


def test_a_folder_of_another_run_is_refused_with_the_difference(
    model: Any, tiny_model: Any, tiny_tokenizer: Any, encoded: Encoded, tmp_path: Path
) -> None:
    stopped(model, tiny_tokenizer, encoded, tmp_path, 3)
    fewer = replace(encoded, examples=encoded.examples[1:])
    for config, rows, again, what in (
        (replace(CONFIG, lr=1e-3), encoded, tiny_model, r"lr \(0.01 there, 0.001 asked\)"),
        (CONFIG, fewer, tiny_model, "the data"),
        (CONFIG, encoded, model, "the model"),
    ):
        with pytest.raises(RunError, match=f"differs in {what}: choose another folder, or delete"):
            train(again, tiny_tokenizer, rows, config, tmp_path)


def test_a_checkpoint_of_another_model_is_refused(
    model: Any, tiny_model: Any, tiny_tokenizer: Any, encoded: Encoded, tmp_path: Path
) -> None:
    from tests.helpers import tiny_model as build

    stopped(model, tiny_tokenizer, encoded, tmp_path, 3)
    with pytest.raises(RunError, match="the model"):
        train(copy.deepcopy(build(1)), tiny_tokenizer, encoded, CONFIG, tmp_path)
    (tmp_path / "run.json").unlink()
    with pytest.raises(InputError, match="step-000002 cannot be read .*delete"):
        train(copy.deepcopy(build(0, 4)), tiny_tokenizer, encoded, CONFIG, tmp_path)
    assert list(tmp_path.glob("checkpoints/step-000002"))


# ------------------------------------------------------------------------------------ accidents


def test_a_loss_that_is_not_finite_stops_with_step_keys_and_the_last_checkpoint(
    model: Any, tiny_tokenizer: Any, encoded: Encoded, tmp_path: Path
) -> None:
    import torch

    def poison(row: dict[str, Any]) -> None:
        if row["step"] == 3:
            with torch.no_grad():
                model.model.norm.weight.fill_(float("nan"))

    with pytest.raises(InputError) as error:
        train(model, tiny_tokenizer, encoded, CONFIG, tmp_path, on_log=poison)
    from s1core.sft.train import batch_at

    message = str(error.value)
    assert "of step 4 is not a finite number" in message
    assert all(example.key in message for example in batch_at(encoded, CONFIG, 3))
    assert "checkpoints/step-000002" in message
    assert [json.loads(line)["step"] for line in (tmp_path / "log.jsonl").open()] == [1, 2, 3]


def test_labels_that_are_all_masked_are_refused(
    model: Any, tiny_tokenizer: Any, encoded: Encoded, tmp_path: Path
) -> None:
    masked = [replace(e, labels=(-100,) * len(e.labels)) for e in encoded.examples]
    with pytest.raises(InputError, match="every label is masked"):
        train(model, tiny_tokenizer, replace(encoded, examples=tuple(masked)), CONFIG, tmp_path)


def test_an_example_longer_than_the_model_is_refused(
    model: Any, tiny_tokenizer: Any, tmp_path: Path
) -> None:
    long = Example(Problem("Use 1", "1"), Trace("a " * 400, "1"))
    with pytest.raises(InputError, match="attends over 512: set max_seq_len to at most 512"):
        train(model, tiny_tokenizer, [long], SFTConfig(), tmp_path)


@contextlib.contextmanager
def files_of_at_most(limit: int) -> Iterator[None]:
    """A limit on the size of files: writing a longer one fails half-way, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    "step, what", [(3, "step-000004 could not be saved"), (6, "step-000006 could not be saved")]
)
def test_a_full_disk_keeps_the_last_good_checkpoint(
    step: int,
    what: str,
    model: Any,
    tiny_model: Any,
    tiny_tokenizer: Any,
    encoded: Encoded,
    undisturbed: TrainResult,
    tmp_path: Path,
) -> None:
    limited = contextlib.ExitStack()

    def fill_the_disk(row: dict[str, Any]) -> None:
        if row["step"] == step:
            limited.enter_context(files_of_at_most(20_000))

    with limited, pytest.raises(RunError, match=what):
        train(model, tiny_tokenizer, encoded, CONFIG, tmp_path, on_log=fill_the_disk)
    kept = [path.name for path in (tmp_path / "checkpoints").iterdir()]
    assert kept == [f"step-{step // 2 * 2 - (step == 6) * 2:06d}"]
    train(copy.deepcopy(tiny_model), tiny_tokenizer, encoded, CONFIG, tmp_path)
    assert same_bytes(tmp_path, undisturbed.path.parent)


def test_a_final_model_that_cannot_be_written_leaves_the_checkpoint_that_holds_the_training(
    model: Any,
    tiny_model: Any,
    tiny_tokenizer: Any,
    encoded: Encoded,
    undisturbed: TrainResult,
    tmp_path: Path,
) -> None:
    in_the_way = tmp_path / ".final.partial"
    in_the_way.write_text("a file where the folder would be")
    with pytest.raises(RunError, match="final model could not be written.*free some disk space"):
        train(model, tiny_tokenizer, encoded, CONFIG, tmp_path)
    assert not (tmp_path / "final").exists()
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-000006"]
    in_the_way.unlink()
    again = train(copy.deepcopy(tiny_model), tiny_tokenizer, encoded, CONFIG, tmp_path)
    assert again.resumed_from == again.steps == 6
    assert same_bytes(tmp_path, undisturbed.path.parent)


# ------------------------------------------------------------------------- damaged files

HALF = object()
DAMAGE = {
    "an empty run.json": ("run.json", b"", "run.json is damaged.*delete that folder"),
    "half a run.json": ("run.json", HALF, "run.json is damaged.*delete that folder"),
    "a run.json of another shape": ("run.json", b"[1]", "run.json is damaged.*delete that folder"),
    "a run.json of another run": ("run.json", b"{}", "differs in epochs.*delete this one"),
    "half a state": ("checkpoints/step-000002/state.json", HALF, "state.json cannot be read.*"),
    "an empty state": ("checkpoints/step-000002/state.json", b"{}", "state.json cannot be read.*"),
    "no state": ("checkpoints/step-000002/state.json", None, "state.json cannot be read.*"),
    "half the tensors": ("checkpoints/step-000002/*.safetensors", HALF, "cannot be read.*delete"),
    "no tensors": ("checkpoints/step-000002/*.safetensors", None, "cannot be read.*delete"),
    "garbled tensors": ("checkpoints/step-000002/*.safetensors", b"x" * 99, "cannot be read.*"),
}


def damage(path: Path, content: Any) -> None:
    if content is None:
        path.unlink()
    else:
        path.write_bytes(
            path.read_bytes()[: path.stat().st_size // 2] if content is HALF else content
        )


@pytest.mark.parametrize("what", DAMAGE)
def test_what_is_damaged_is_named_and_the_advice_works(
    what: str,
    model: Any,
    tiny_model: Any,
    tiny_tokenizer: Any,
    encoded: Encoded,
    undisturbed: TrainResult,
    tmp_path: Path,
) -> None:
    out = tmp_path / "run"
    stopped(model, tiny_tokenizer, encoded, out, 3)
    pattern, content, message = DAMAGE[what]
    (path,) = out.glob(pattern)
    damage(path, content)
    with pytest.raises(S1Error, match=message) as error:
        train(copy.deepcopy(tiny_model), tiny_tokenizer, encoded, CONFIG, out)
    assert "\n" not in str(error.value)
    shutil.rmtree(out if "run.json" in pattern else path.parent)
    result = train(copy.deepcopy(tiny_model), tiny_tokenizer, encoded, CONFIG, out)
    assert result.resumed_from == 0
    assert same_bytes(out, undisturbed.path.parent)


@pytest.mark.parametrize("step", [3, 5])
@pytest.mark.parametrize(
    "tail", [b"", b'{"step": ', b'{"step": 4}\n{"st', b"\x00" * 40, HALF, None]
)
def test_a_torn_log_is_made_whole_from_the_checkpoint(
    tail: Any,
    step: int,
    model: Any,
    tiny_model: Any,
    tiny_tokenizer: Any,
    encoded: Encoded,
    undisturbed: TrainResult,
    tmp_path: Path,
) -> None:
    stopped(model, tiny_tokenizer, encoded, tmp_path, step)
    log = tmp_path / "log.jsonl"
    whole = b"".join(log.read_bytes().splitlines(True)[: step // 2 * 2])  # to the checkpoint
    damage(log, tail if tail in (HALF, None) else whole + tail)
    result = train(copy.deepcopy(tiny_model), tiny_tokenizer, encoded, CONFIG, tmp_path)
    assert [row["step"] for row in result.log] == [1, 2, 3, 4, 5, 6]
    assert same_bytes(tmp_path, undisturbed.path.parent)


def test_a_disk_that_is_full_from_the_start_leaves_a_folder_that_can_be_used(
    model: Any, tiny_model: Any, tiny_tokenizer: Any, encoded: Encoded, tmp_path: Path
) -> None:
    with files_of_at_most(10), pytest.raises(OSError, match="File too large"):
        train(model, tiny_tokenizer, encoded, CONFIG, tmp_path)
    result = train(copy.deepcopy(tiny_model), tiny_tokenizer, encoded, CONFIG, tmp_path)
    assert len(result.log) == 6


def test_a_finished_run_whose_log_is_lost_is_refused_and_not_shown_as_empty(
    model: Any, tiny_tokenizer: Any, encoded: Encoded, tmp_path: Path
) -> None:
    train(copy.deepcopy(model), tiny_tokenizer, encoded, CONFIG, tmp_path)
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(RunError, match="state.json cannot be read.*delete"):
        train(model, tiny_tokenizer, encoded, CONFIG, tmp_path)
