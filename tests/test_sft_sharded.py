"""Sharded training (FSDP2) is the same training: two gloo processes on the CPU stand for GPUs."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from s1core.errors import InputError
from s1core.records import write_jsonl
from s1core.sft import SFTConfig
from s1core.sft.export import save_tokenizer
from s1core.sft.launch import main, read_config
from tests.test_sft_train import CONFIG, examples, train

SETTINGS = (
    "epochs=2",
    "batch_size=4",
    "lr=1e-2",
    "max_seq_len=128",
    "checkpoint_every=2",
    "seed=3",
)

STOPPING = """
import sys
from s1core.sft import launch

def stopping(*args, **kwargs):
    def stop(row):
        if row["step"] == 3:
            raise SystemExit("stopped at step 3")
    return train(*args, on_log=stop, **kwargs)

train, launch.train = launch.train, stopping
sys.exit(launch.main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def folder(tiny_model: Any, tiny_tokenizer: Any, tmp_path_factory: Any) -> Path:
    path = tmp_path_factory.mktemp("sharded")
    tiny_model.save_pretrained(path / "model")
    save_tokenizer(tiny_tokenizer, path / "model")
    write_jsonl(path / "examples.jsonl", examples())
    return path


def command(folder: Path, out: Path, *settings: str) -> list[str]:
    pairs = [part for setting in (*SETTINGS, *settings) for part in ("--set", setting)]
    paths = ["--model", folder / "model", "--data", folder / "examples.jsonl", "--out", out]
    return [*map(str, paths), "--device", "cpu", *pairs]


def torchrun(processes: int, program: list[str]) -> subprocess.CompletedProcess[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    return subprocess.run(
        [*launcher, f"--nproc-per-node={processes}", *program],
        cwd=Path(__file__).parents[1],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=600,
    )


def losses(out: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (out / "log.jsonl").read_text().splitlines()]


def test_the_command_trains_a_folder_like_a_model_in_memory(
    folder: Path, tiny_model: Any, tiny_tokenizer: Any, tmp_path: Path, capsys: Any
) -> None:
    assert main(command(folder, tmp_path / "command")) == 0
    assert "6 steps, last loss" in capsys.readouterr().out
    train(copy.deepcopy(tiny_model), tiny_tokenizer, examples(), CONFIG, tmp_path / "memory")
    for name in ("log.jsonl", "final/model.safetensors"):
        one, other = tmp_path / "command" / name, tmp_path / "memory" / name
        assert one.read_bytes() == other.read_bytes()


def test_bad_arguments_end_in_one_sentence(folder: Path, tmp_path: Path, capsys: Any) -> None:
    assert main(command(folder, tmp_path, "epoch=3")) == 1
    assert "error: unknown setting epoch; there are epochs" in capsys.readouterr().err
    with pytest.raises(InputError, match="name=value, not 'epochs'"):
        read_config(None, ["epochs"])
    assert read_config(None, ["lr=1e-3", "lora={rank: 4}"]).lora.rank == 4
    assert read_config(None) == SFTConfig()


@pytest.mark.slow
def test_two_processes_lose_what_one_does_and_resume_on_another_number(
    folder: Path, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM

    assert main(command(folder, tmp_path / "one")) == 0
    expected = losses(tmp_path / "one")

    two = torchrun(2, ["-m", "s1core.sft.launch", *command(folder, tmp_path / "two")])
    assert two.returncode == 0, two.stderr
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
        program = [str(tmp_path / "stopping.py"), *command(folder, out)]
        stopped = torchrun(start, program)
        assert "stopped at step 3" in stopped.stderr
        assert not (out / "final").exists()
        shards = sorted(path.name for path in (out / "checkpoints/step-000002").iterdir())
        assert len([name for name in shards if name.endswith(".safetensors")]) == start
        resumed = torchrun(end, ["-m", "s1core.sft.launch", *command(folder, out)])
        assert resumed.returncode == 0, resumed.stderr
        assert losses(out) == pytest.approx(expected, rel=1e-4)
        if start == end:
            assert losses(out) == losses(tmp_path / "two")


@pytest.mark.slow
def test_two_processes_in_bf16_with_checkpointing_follow_fp32(folder: Path, tmp_path: Path) -> None:
    how = ("dtype=bfloat16", "optimizer_dtype=bfloat16", "activation_checkpointing=true")
    assert main(command(folder, tmp_path / "fp32")) == 0
    done = torchrun(2, ["-m", "s1core.sft.launch", *command(folder, tmp_path / "bf16", *how)])
    assert done.returncode == 0, done.stderr
    assert losses(tmp_path / "bf16") == pytest.approx(losses(tmp_path / "fp32"), rel=0.05)


@pytest.mark.slow
def test_two_processes_sharing_each_row_lose_what_one_does(folder: Path, tmp_path: Path) -> None:
    """Ulysses: tokens are split outside attention, heads inside it."""
    assert main(command(folder, tmp_path / "one")) == 0
    pair = command(folder, tmp_path / "pair", "sequence_parallel=2", "packing=false")
    done = torchrun(2, ["-m", "s1core.sft.launch", *pair])
    assert done.returncode == 0, done.stderr
    assert losses(tmp_path / "pair") == pytest.approx(losses(tmp_path / "one"), rel=1e-4)


def test_a_team_that_cannot_be_formed_is_refused(folder: Path, tmp_path: Path, capsys: Any) -> None:
    assert main(command(folder, tmp_path, "sequence_parallel=3")) == 1
    assert "sequence_parallel=3 must divide the 1 processes" in capsys.readouterr().err


def test_settings_of_the_command_are_those_of_the_library() -> None:
    assert read_config(None, SETTINGS) == replace(CONFIG)
