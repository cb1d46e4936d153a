"""Training: the loss does not depend on how it is computed, and no accident loses a good state."""

import copy
import json
import resource
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from tqdm import tqdm

from s1core import sft
from s1core.errors import InputError, RunError, S1Error
from s1core.records import Example, Problem, Trace
from s1core.sft import Encoded, SFTConfig, TrainResult, checkpoint, encode
from s1core.sft.train import batch_at
from tests.helpers import save_tiny, tiny_model, tiny_tokenizer
from tests.test_sft_encode import CASES

CONFIG = SFTConfig(epochs=2, batch_size=4, lr=1e-2, max_seq_len=128, checkpoint_every=2, seed=3)


def train(*args: Any, **options: Any) -> TrainResult:
    """On the CPU, also where there is a GPU: these tests compare bytes."""
    return sft.train(*args, device="cpu", **options)


def examples(count: int = 10) -> list[Example]:
    random = np.random.default_rng(0)
    rows = [random.integers(0, 8, 2 + 3 * i) for i in range(count)]
    words = [" ".join("abcdefgh"[j] for j in row) for row in rows]
    return [Example(Problem(f"Use {i} 7", "9"), Trace(w, str(i))) for i, w in enumerate(words)]


@pytest.fixture(scope="session")
def encoded() -> Encoded:
    return encode(examples(), tiny_tokenizer(), max_seq_len=128)


@contextmanager
def watching(see: Callable[[int], object]) -> Iterator[None]:
    """Call `see` with the number of each step when it is logged, before any checkpoint of it."""

    class Bar(tqdm):
        def update(self, n: float | None = 1) -> None:
            self.n += 1
            see(self.n)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules["s1core.sft.train"], "tqdm", Bar)
        yield


@pytest.fixture(scope="session")
def run(encoded: Encoded, tiny: str) -> Any:
    """Train the tiny model into a folder."""

    def go(out: Path, config=CONFIG, rows=encoded, model=tiny, see=id) -> TrainResult:
        with watching(see):
            return train(model, tiny_tokenizer(), rows, config, out)

    return go


@pytest.fixture(scope="session")
def undisturbed(run: Any, tmp_path_factory: Any) -> TrainResult:
    return run(tmp_path_factory.mktemp("undisturbed"))


def stopped(run: Any, out: Path, step: int) -> None:
    with pytest.raises(SystemExit):
        run(out, see=lambda made: made == step and sys.exit())


def losses(result: TrainResult) -> list[float]:
    return [row["loss"] for row in result.log]


def same_bytes(one: Path, other: Path) -> bool:
    names = ("log.jsonl", "final/model.safetensors")
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in names)


def reference_loss(model: Any, rows: Any) -> Any:
    """The plain way: one example at a time through transformers, with torch's cross-entropy."""
    import torch

    summed = torch.zeros(())
    for row in rows:
        logits = model(input_ids=torch.tensor([row.token_ids])).logits[0, :-1]
        labels = torch.tensor(row.labels[1:])
        summed = summed + torch.nn.functional.cross_entropy(logits, labels, reduction="sum")
    return summed / sum(row.supervised for row in rows)


HOW = {"packing": False, "micro_batch_tokens": 130, "loss_chunk_tokens": 7}


@pytest.mark.parametrize("how", [*HOW, "activation_checkpointing"])
def test_the_loss_curve_does_not_depend_on_how_the_batch_is_computed(
    how, run, undisturbed, tmp_path
):
    result = run(tmp_path, replace(CONFIG, **{how: HOW.get(how, True)}))
    assert losses(result) == pytest.approx(losses(undisturbed), rel=1e-4)


def test_the_losses_are_those_of_plain_transformers_and_torch(encoded, undisturbed):
    """The oracle: unpacked forward, transformers' schedule and decay groups, torch's AdamW."""
    import torch
    from transformers import Trainer, get_cosine_schedule_with_warmup

    model = copy.deepcopy(tiny_model())
    decayed, groups = Trainer.get_decay_parameter_names(None, model), []
    for name, parameter in model.named_parameters():
        decay = 1e-4 if name in decayed else 0.0
        groups.append({"params": [parameter], "weight_decay": decay})
    optimizer = torch.optim.AdamW(groups, lr=CONFIG.lr, betas=(0.9, 0.95))
    total = CONFIG.total_steps(len(encoded.examples))
    schedule = get_cosine_schedule_with_warmup(optimizer, int(np.ceil(0.05 * total)), total)
    for step, row in enumerate(undisturbed.log):
        loss = reference_loss(model.train(), batch_at(encoded.examples, CONFIG, step))
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        assert row["lr"] == pytest.approx(schedule.get_last_lr()[0])
        assert row["loss"] == pytest.approx(loss.item(), rel=1e-4)
        assert row["grad_norm"] == pytest.approx(float(norm), rel=1e-3)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()


def test_a_finished_run_is_plain_safetensors_and_is_returned_and_not_repeated(
    run, encoded, undisturbed, tmp_path
):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(undisturbed.path)
    text = "<|im_start|>user\nUse 3 7  make\n\nA b<|im_end|>"
    assert tokenizer.encode(text) == tiny_tokenizer().encode(text)
    assert tokenizer.chat_template == tiny_tokenizer().chat_template
    assert {p.suffix for p in undisturbed.path.iterdir()} <= {".json", ".safetensors", ".jinja"}
    assert (undisturbed.steps, undisturbed.tokens) == (6, 2 * sum(encoded.lengths))
    assert undisturbed.supervised_tokens == 2 * encoded.supervised
    folder = undisturbed.path.parent
    assert run(folder, see=pytest.fail) == undisturbed
    copied = shutil.copytree(folder, tmp_path / "copy")
    (copied / "state.json").write_text("{")  # not taken as whole
    with pytest.raises(RunError, match="state.json cannot be read.*delete"):
        run(copied)


TAILS = ["", '{"step": ', '{"step": 4}\n{"st', "\0\0", "half", None]  # of a torn log


@pytest.mark.parametrize("step, tail", [(1, "all"), (6, "all"), *((3, tail) for tail in TAILS)])
def test_a_stopped_run_resumes_to_the_same_bytes_and_prints_nothing_without_a_terminal(
    step, tail, run, undisturbed, tmp_path, capfd, monkeypatch
):
    monkeypatch.setattr(checkpoint, "FILE", 10_000)
    stopped(run, tmp_path, step)
    assert len(list(tmp_path.glob("checkpoints/step-*/*.safetensors"))) >= 3 * (step > 2)
    if tail != "all":
        damage(tmp_path / "log.jsonl", tail)
    made: list[int] = []
    resumed = run(tmp_path, see=made.append)
    assert made == list(range((step - 1) // 2 * 2 + 1, 7))
    assert [row["step"] for row in resumed.log] == [1, 2, 3, 4, 5, 6]
    assert same_bytes(tmp_path, undisturbed.path.parent)
    assert capfd.readouterr() == ("", "")


def test_a_folder_of_another_run_is_refused_with_the_difference(run, encoded, tmp_path):
    stopped(run, tmp_path, 3)
    fewer = replace(encoded, examples=encoded.examples[1:])
    for config, changes, what in (
        (replace(CONFIG, lr=1e-3), {}, r"lr \(0.01 there, 0.001 asked\)"),
        (CONFIG, {"rows": fewer}, "the data"),
        (CONFIG, {"model": save_tiny(tmp_path / "other", seed=1)}, "the model"),
    ):
        with pytest.raises(RunError, match=f"differs in {what}: choose another folder, or delete"):
            run(tmp_path, config, **changes)
    with FileLock(tmp_path / ".lock"), pytest.raises(RunError, match="another process is training"):
        run(tmp_path)
    (tmp_path / "run.json").unlink()
    with pytest.raises(S1Error, match="step-000002 cannot be read .*delete"):
        run(tmp_path, model=save_tiny(tmp_path / "wider", kv_heads=4))


def test_a_loss_that_is_not_finite_stops_with_step_keys_and_the_last_checkpoint(
    run, encoded, tmp_path, monkeypatch
):
    from s1core.sft import loading

    model = copy.deepcopy(tiny_model())
    monkeypatch.setattr(loading, "load_model", lambda *_, **__: model)
    norm, nan = model.model.norm.weight.data, float("nan")
    with pytest.raises(InputError, match="of step 4 is not finite.*step-000002") as error:
        run(tmp_path, see=lambda step: step == 3 and norm.fill_(nan))
    assert all(row.key in str(error.value) for row in batch_at(encoded.examples, CONFIG, 3))
    assert [json.loads(line)["step"] for line in (tmp_path / "log.jsonl").open()] == [1, 2, 3]


def test_what_cannot_be_trained_on_is_refused(run, encoded, tmp_path):
    masked = [replace(e, labels=(-100,) * len(e.labels)) for e in encoded.examples]
    with pytest.raises(InputError, match="every label is masked"):
        run(tmp_path, rows=replace(encoded, examples=tuple(masked)))
    long = Example(Problem("Use 1", "1"), Trace("a " * 400, "1"))
    with pytest.raises(InputError, match="attends over 512: set max_seq_len to at most 512"):
        run(tmp_path, SFTConfig(), rows=[long])
    with pytest.raises(InputError, match="sequence_parallel=3 must divide the 1 processes"):
        run(tmp_path, replace(CONFIG, sequence_parallel=3))


@pytest.fixture
def files_of_at_most() -> Iterator[Any]:
    """Limits the size of files: writing a longer one fails half-way, as on a full disk."""
    kept = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size or kept[0], kept[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, kept)


@pytest.mark.parametrize("step", [3, 6])
def test_a_full_disk_keeps_the_last_good_checkpoint(
    step, run, undisturbed, tmp_path, files_of_at_most
):
    with pytest.raises(RunError, match=f"step-00000{step + step % 2} could not be saved"):
        run(tmp_path, see=lambda made: made == step and files_of_at_most(20_000))
    files_of_at_most(None)
    kept = [path.name for path in (tmp_path / "checkpoints").iterdir()]
    assert kept == [f"step-{(step - 1) // 2 * 2:06d}"]
    run(tmp_path)
    assert same_bytes(tmp_path, undisturbed.path.parent)


def test_a_model_that_cannot_be_written_leaves_what_can_be_gone_on_from(run, undisturbed, tmp_path):
    in_the_way = tmp_path / ".final.partial"
    in_the_way.write_text("a file where the folder would be")
    with pytest.raises(RunError, match="final model could not be written.*free some disk space"):
        run(tmp_path)
    assert not (tmp_path / "final").exists()
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-000006"]
    in_the_way.unlink()
    run(tmp_path, see=pytest.fail)
    assert same_bytes(tmp_path, undisturbed.path.parent)


def damage(path: Path, content: Any) -> None:
    """Leave of a file nothing (None), the first "half" of it, or another content."""
    if content is None:
        path.unlink()
    elif content == "half":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        path.write_text(content)


@pytest.mark.parametrize(("pattern", "content", "message"), CASES["damaged"])
def test_what_is_damaged_is_named_and_the_advice_works(
    pattern, content, message, run, undisturbed, tmp_path
):
    out = tmp_path / "run"
    stopped(run, out, 3)
    (path,) = out.glob(pattern)
    damage(path, content)
    with pytest.raises(S1Error, match=message) as error:
        run(out)
    assert "\n" not in str(error.value)
    shutil.rmtree(out if "run.json" in pattern else path.parent)
    assert [row["step"] for row in run(out).log] == [1, 2, 3, 4, 5, 6]
    assert same_bytes(out, undisturbed.path.parent)
