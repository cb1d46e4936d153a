"""Sharded training (FSDP2) is the same training: two gloo processes on the CPU stand for GPUs."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from s1core.cli import main
from s1core.errors import InputError, RunError
from s1core.records import write_jsonl
from s1core.sft.checkpoint import save_tokenizer
from s1lab.spawn import spawn
from tests.test_sft_train import CONFIG, examples, same_bytes, train

STOPPING = """
import sys
from s1core import sft
from s1core.cli import main

def stopping(*args, **kwargs):
    def stop(row):
        if row["step"] == 3:
            raise SystemExit("stopped at step 3")
    return train(*args, on_log=stop, **kwargs)

train, sft.train = sft.train, stopping
main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def folder(tiny_model: Any, tiny_tokenizer: Any, tmp_path_factory: Any) -> Path:
    path = tmp_path_factory.mktemp("sharded")
    tiny_model.save_pretrained(path / "model")
    save_tokenizer(tiny_tokenizer, path / "model")
    write_jsonl(path / "examples.jsonl", examples())
    return path


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))


def command(folder: Path, out: Path, **settings: Any) -> list[str]:
    """The arguments of `s1core sft` for these settings; the command line reads them from a file."""
    config = folder / f"{out.name}.yaml"
    row = asdict(replace(CONFIG, **settings)) | {"betas": [0.9, 0.95]}
    config.write_text(yaml.safe_dump(row))
    paths = {"--model": folder / "model", "--data": folder / "examples.jsonl", "--output": out}
    return ["sft", *(str(part) for pair in {**paths, "--config": config}.items() for part in pair)]


def torchrun(processes: int, program: list[str]) -> subprocess.CompletedProcess[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = [*launcher, f"--nproc-per-node={processes}", *program]
    return subprocess.run(command, capture_output=True, text=True, timeout=600)


def losses(out: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (out / "log.jsonl").read_text().splitlines()]


def test_a_folder_is_trained_like_a_model_in_memory_also_in_a_process_of_its_own(
    folder: Path, tiny_model: Any, tiny_tokenizer: Any, tmp_path: Path
) -> None:
    result = spawn(str(folder / "model"), examples(), CONFIG, tmp_path / "folder", 1)
    assert (result.steps, result.resumed_from) == (6, 6)
    train(copy.deepcopy(tiny_model), tiny_tokenizer, examples(), CONFIG, tmp_path / "memory")
    assert same_bytes(tmp_path / "folder", tmp_path / "memory")


def test_a_process_that_fails_is_reported_with_its_command(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="ended with status 1; .* -m s1core.cli sft --model"):
        spawn(str(folder / "nothing"), examples(), CONFIG, tmp_path, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch: 3", "'epoch'"),
        ("- 1", "config.yaml: "),
        ("a: b: c", "config.yaml: mapping values"),
        ("", "config.yaml: "),
        ("lr: 1e-3", "lr must be a number"),
        ("betas: 3", "config.yaml: "),
        ("seed: -1", "seed must be a whole number"),
    ],
)
def test_a_file_of_settings_that_cannot_be_meant_is_refused_in_a_sentence(
    text: str, message: str, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text(text)
    arguments = command(folder, tmp_path / "out")
    arguments[-1] = str(tmp_path / "config.yaml")
    with pytest.raises(SystemExit, match=message) as error:
        main(arguments)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_two_processes_lose_what_one_does_and_resume_on_another_number(
    folder: Path, tmp_path: Path, tiny_tokenizer: Any
) -> None:
    from transformers import AutoModelForCausalLM

    train(folder / "model", tiny_tokenizer, examples(), CONFIG, tmp_path / "one")
    expected = losses(tmp_path / "one")
    two = torchrun(2, ["-m", "s1core.cli", *command(folder, tmp_path / "two")])
    assert two.returncode == 0, two.stderr
    assert two.stdout.count("6 steps, ") == 1
    assert losses(tmp_path / "two") == pytest.approx(expected, rel=1e-4)
    weights = [
        AutoModelForCausalLM.from_pretrained(tmp_path / name / "final").state_dict()
        for name in ("one", "two")
    ]
    for name, tensor in weights[0].items():
        assert (tensor - weights[1][name]).abs().max() < 1e-3, name

    (tmp_path / "stopping.py").write_text(STOPPING)
    for start, end in ((2, 1), (1, 2), (2, 2)):
        out = tmp_path / f"from-{start}-to-{end}"
        stopped = torchrun(start, [str(tmp_path / "stopping.py"), *command(folder, out)])
        assert "stopped at step 3" in stopped.stderr
        assert not (out / "final").exists()
        shards = list((out / "checkpoints/step-000002").glob("*.safetensors"))
        assert len(shards) == start
        resumed = torchrun(end, ["-m", "s1core.cli", *command(folder, out)])
        assert resumed.returncode == 0, resumed.stderr
        assert losses(out) == pytest.approx(expected, rel=1e-4)
        if start == end:
            assert losses(out) == losses(tmp_path / "two")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "tolerance"),
    [
        ({"dtype": "bfloat16", "activation_checkpointing": True}, 0.05),
        # Ulysses: tokens are split outside attention, heads inside it.
        ({"sequence_parallel": 2, "packing": False}, 1e-4),
    ],
)
def test_two_processes_lose_what_one_does_however_they_compute(
    how: dict[str, Any], tolerance: float, folder: Path, tmp_path: Path, tiny_tokenizer: Any
) -> None:
    train(folder / "model", tiny_tokenizer, examples(), CONFIG, tmp_path / "one")
    done = torchrun(2, ["-m", "s1core.cli", *command(folder, tmp_path / "two", **how)])
    assert done.returncode == 0, done.stderr
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=tolerance)


def test_a_team_that_cannot_be_formed_is_refused(
    folder: Path, tmp_path: Path, tiny_tokenizer: Any
) -> None:
    with pytest.raises(InputError, match="sequence_parallel=3 must divide the 1 processes"):
        config = replace(CONFIG, sequence_parallel=3)
        train(folder / "model", tiny_tokenizer, examples(), config, tmp_path)
