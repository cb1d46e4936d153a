"""Sharded training (FSDP2) is the same training: two gloo processes on the CPU stand for GPUs."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from s1core.cli import main
from s1core.errors import RunError
from s1core.records import write_jsonl
from s1core.sft.checkpoint import save_tokenizer
from s1lab.kinds.launch import spawn
from tests.helpers import tiny_model, tiny_tokenizer
from tests.test_sft_encode import CASES
from tests.test_sft_train import CONFIG, examples, same_bytes, train

STOPPING = """
import sys
from s1core.cli import main
from tests.test_sft_train import watching

with watching(lambda step: step == 3 and sys.exit("stopped at step 3")):
    main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: Any) -> Path:
    path = tmp_path_factory.mktemp("sharded")
    tiny_model().save_pretrained(path / "model")
    save_tokenizer(tiny_tokenizer(), path / "model")
    write_jsonl(path / "examples.jsonl", examples())
    return path


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No GPU and one thread, here as in the processes of their own: sums depend on threads."""
    import torch

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def command(folder: Path, out: Path, **settings: Any) -> list[str]:
    """The arguments of `s1core sft` for these settings; the command line reads them from a file."""
    config = folder / f"{out.name}.yaml"
    row = asdict(replace(CONFIG, **settings)) | {"betas": [0.9, 0.95]}
    config.write_text(yaml.safe_dump(row))
    paths = [f"--model={folder / 'model'}", f"--data={folder / 'examples.jsonl'}"]
    return ["sft", *paths, f"--output={out}", f"--config={config}"]


def torchrun(processes: int, *program: str) -> str:
    """Run a program in so many processes; what it wrote, and its status at the end."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = [*launcher, f"--nproc-per-node={processes}", *program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    return f"{done.stdout}{done.stderr}status {done.returncode}"


def losses(out: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (out / "log.jsonl").read_text().splitlines()]


def test_a_process_of_its_own_trains_as_this_one_does(folder, tmp_path):
    result = spawn(str(folder / "model"), examples(), CONFIG, tmp_path / "folder", 1)
    assert result.steps == 6
    train(folder / "model", tiny_tokenizer(), examples(), CONFIG, tmp_path / "here")
    assert same_bytes(tmp_path / "folder", tmp_path / "here")
    with pytest.raises(RunError, match="ended with status 1; .* -m s1core.cli sft --model"):
        spawn(str(folder / "nothing"), examples(), CONFIG, tmp_path / "failed", 1)


@pytest.mark.parametrize(("text", "message"), CASES["settings"])
def test_a_file_of_settings_that_cannot_be_meant_is_refused_in_a_sentence(
    text, message, folder, tmp_path
):
    (tmp_path / "config.yaml").write_text(text)
    arguments = command(folder, tmp_path / "out")[:-1]
    with pytest.raises(SystemExit, match=message) as error:
        main([*arguments, f"--config={tmp_path / 'config.yaml'}"])
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_two_processes_lose_what_one_does_and_resume_on_another_number(folder, tmp_path):
    from transformers import AutoModelForCausalLM

    train(folder / "model", tiny_tokenizer(), examples(), CONFIG, tmp_path / "one")
    expected = losses(tmp_path / "one")
    said = torchrun(2, "-m", "s1core.cli", *command(folder, tmp_path / "two"))
    assert said.endswith("status 0") and said.count("6 steps, ") == 1, said
    assert losses(tmp_path / "two") == pytest.approx(expected, rel=1e-4)
    finals = (tmp_path / name / "final" for name in ("one", "two"))
    one, two = (AutoModelForCausalLM.from_pretrained(path).state_dict() for path in finals)
    assert all((tensor - two[name]).abs().max() < 1e-3 for name, tensor in one.items())

    (tmp_path / "stopping.py").write_text(STOPPING)
    for start, end in ((2, 1), (1, 2), (2, 2)):
        out = tmp_path / f"from-{start}-to-{end}"
        said = torchrun(start, str(tmp_path / "stopping.py"), *command(folder, out))
        assert "stopped at step 3" in said and not (out / "final").exists(), said
        assert len(list(out.glob("checkpoints/step-000002/*.safetensors"))) == start
        said = torchrun(end, "-m", "s1core.cli", *command(folder, out))
        assert said.endswith("status 0"), said
        assert losses(out) == pytest.approx(expected, rel=1e-4)
        if start == end:
            assert losses(out) == losses(tmp_path / "two")


# Ulysses: tokens are split outside attention, heads inside it.
ULYSSES = {"sequence_parallel": 2, "packing": False}
LEAN = {"dtype": "bfloat16", "activation_checkpointing": True}


@pytest.mark.slow
@pytest.mark.parametrize(("how", "tolerance"), [(LEAN, 0.05), (ULYSSES, 1e-4)])
def test_two_processes_lose_what_one_does_however_they_compute(how, tolerance, folder, tmp_path):
    train(folder / "model", tiny_tokenizer(), examples(), CONFIG, tmp_path / "one")
    said = torchrun(2, "-m", "s1core.cli", *command(folder, tmp_path / "two", **how))
    assert said.endswith("status 0"), said
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=tolerance)
