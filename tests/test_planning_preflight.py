"""Preflight: each fault that was put in is found before anything long begins, and named.

Faults are real ones: files are cut and edited, packages of another version are installed on the
path, ports are taken. Only a GPU is played, by a driver's tool that answers what ours would.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from s1core.errors import RunError
from s1lab import profiles
from s1lab.pipeline import Pipeline
from s1lab.planning.cost import begin_with, cost
from s1lab.planning.fetch import CHECKSUMS
from s1lab.planning.machine import Finding, gpus
from s1lab.planning.preflight import Site, broken_shards, check_datasets, preflight
from s1lab.runs import RunStore
from tests.hub_server import COMMIT, Hub
from tests.planning_fixtures import (
    SMALL,
    aime,
    math500,
    released,
    save_model,
    write_mirror,
    write_profile,
)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return save_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def site(tmp_path) -> Site:
    return Site(tmp_path / "store")


@pytest.fixture
def profile(tmp_path, model, monkeypatch):
    """A profile that needs no GPU, whose data and model are whole, in a mirror."""
    write_mirror(tmp_path / "mirror", AIME24=aime(), MATH500=math500(), s1K=released())
    monkeypatch.setenv("S1CORE_DATA_DIR", str(tmp_path / "mirror"))
    path = write_profile(
        tmp_path / "p.yaml",
        **SMALL,
        model=str(model),
        released={},
        engine="hf",
        gpus=0,
        engine_options={},
    )
    return profiles.load(path)


def problems(profile: profiles.Profile, site: Site, **options: bool) -> dict[str, Finding]:
    found = preflight(profile, site, **options)
    return {finding.about: finding for finding in found if finding.level == "problem"}


def test_nothing_stands_in_the_way_where_nothing_is_wrong(profile, site):
    assert problems(profile, site) == {}


# ------------------------------------------------------------------------- the machine


def driver(folder: Path, answer: str, monkeypatch) -> None:
    """A driver's tool that answers so."""
    folder.mkdir()
    tool = folder / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\nprintf '%s\\n' {answer}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_no_gpu(profile, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    (found,) = gpus(replace(profile, gpus=1))
    assert found.level == "problem" and "none found" in found.text and "1 needed" in found.text


def test_too_little_memory_and_a_torch_that_cannot_use_the_gpu(profile, tmp_path, monkeypatch):
    driver(tmp_path / "bin", "'NVIDIA A10G, 23028, 470.1'", monkeypatch)
    found = {f.about: f for f in gpus(replace(profile, gpus=1, gpu_memory=79))}
    assert "A10G has 22 GiB, 79 needed" in found["GPU memory"].text
    import torch

    if not torch.cuda.is_available():
        assert found["driver"].level == "problem" and "470.1" in found["driver"].text


def test_too_few_gpus(profile, tmp_path, monkeypatch):
    driver(tmp_path / "bin", "'NVIDIA H100 80GB HBM3, 81559, 580.1'", monkeypatch)
    found = {f.about: f for f in gpus(replace(profile, gpus=16, gpu_memory=79))}
    assert found["GPU"].text == "1 found, 8 needed on this host"


def test_a_model_that_does_not_fit_is_refused_with_what_is_too_large(profile, tmp_path):
    large = replace(profile, gpus=1, model="Qwen/Qwen2.5-7B-Instruct")
    pipeline = Pipeline(large, RunStore(tmp_path / "store"))
    (misfit,) = cost(pipeline).misfits
    assert "moments take" in misfit
    assert problems(large, Site(tmp_path, misfits=(misfit,)))["memory"].text == misfit
    with pytest.raises(RunError, match="nothing was started: fine-tuning .*moments take"):
        begin_with(pipeline, None)
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("version", ["0.33.0", None])
def test_a_wrong_or_missing_vllm(profile, site, version, tmp_path, monkeypatch):
    if version:
        folder = tmp_path / "site" / f"vllm-{version}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}\n")
        monkeypatch.syspath_prepend(str(folder.parent))
    found = problems(replace(profile, engine="vllm", gpus=0), site)["versions"]
    assert (f"vllm {version} is installed, ==0.32.0 is needed" if version else "vllm") in found.text
    assert "0.32.0" in found.fix or "gpu" in found.fix


def test_a_disk_that_is_too_small(profile, site):
    found = problems(profile, replace(site, disk=1e18))["disk"]
    assert "1000000000 needed" in found.text and "make room" in found.fix


def test_a_port_that_is_taken_and_hosts_that_nobody_starts(profile, site, monkeypatch):
    monkeypatch.delenv("S1CORE_LAUNCH", raising=False)
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        found = problems(replace(profile, processes=16), replace(site, port=port))
    assert f"{port} is taken" in found["port"].text
    assert "launch/slurm_two_nodes.sbatch" in found["launcher"].fix


# ----------------------------------------------------------------------- data and models


def test_a_missing_token(profile, site, monkeypatch):
    monkeypatch.delenv("S1CORE_DATA_DIR")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    asked = replace(profile, evaluation=replace(profile.evaluation, benchmarks=("GPQA Diamond",)))
    findings = {f.about: f for f in check_datasets(asked)}
    assert "HF_TOKEN" in findings["token"].fix and findings["token"].optional
    assert findings["token"].softened().level == "warning"
    # And without any network, one line instead of a long wait for each name.
    (found,) = problems(asked, site).values()
    assert "does not answer" in found.text


def test_a_renamed_column(profile, site, tmp_path):
    renamed = [{"prompt": row["problem"], "answer": row["answer"]} for row in aime()]
    write_mirror(tmp_path / "mirror", AIME24=renamed, MATH500=math500(), s1K=released())
    found = problems(profile, site)["AIME24"]
    assert "row 1" in found.text and "'problem'" in found.text


def test_a_wrong_row_count(profile, site, tmp_path):
    write_mirror(tmp_path / "mirror", AIME24=aime(29), MATH500=math500(), s1K=released(999))
    found = problems(profile, site)
    assert "29 questions where 30 are expected" in found["AIME24"].text
    assert "999 examples where 1,000 are expected" in found["s1K"].text


def test_a_mirror_file_with_another_checksum(profile, site, tmp_path):
    path = tmp_path / "mirror" / "datasets" / "s1K.jsonl"
    path.write_bytes(path.read_bytes().replace(b"Wait", b"wait", 1))
    assert "sha256" in problems(profile, site)["s1K"].text


def test_a_shard_that_is_cut_garbled_edited_or_missing(model, tmp_path):
    folder = tmp_path / "copy"
    folder.mkdir()
    for path in model.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    shard = folder / "model.safetensors"
    whole = shard.read_bytes()
    assert broken_shards(folder) == []
    for damage, message in (
        (whole[:-100], "bytes where"),
        (whole[:5], "truncated"),
        (whole[:8] + b"\x00" * 20 + whole[28:], "damaged header"),
    ):
        shard.write_bytes(damage)
        (wrong,) = broken_shards(folder)
        assert message in wrong
    import hashlib

    (folder / CHECKSUMS).write_text(f"{hashlib.sha256(whole).hexdigest()}  model.safetensors\n")
    shard.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert "another sha256" in broken_shards(folder)[0]
    shard.unlink()
    assert "no safetensors" in broken_shards(folder)[0]


def test_the_command_ends_with_what_to_fix_and_refuses(profile, tmp_path, site):
    write_mirror(tmp_path / "mirror", AIME24=aime(29), MATH500=math500(), s1K=released())
    environment = {**os.environ, "S1CORE_STORE": str(site.store)}
    done = subprocess.run(
        [sys.executable, "-m", "s1lab.cli", "preflight", str(tmp_path / "p.yaml")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1, done.stderr
    assert "1 to fix before h100 can run:\n  1. AIME24: fetch again" in done.stdout
    # The same fault stops the run itself before anything is trained.
    started = subprocess.run(
        [sys.executable, "-m", "s1lab.cli", "reproduce", str(tmp_path / "p.yaml"), "--yes"],
        env={**environment, "S1CORE_DATA_DIR": str(tmp_path / "nowhere")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert started.returncode == 1 and "is not a data mirror" in started.stderr


@pytest.mark.slow
def test_a_revision_that_the_hub_does_not_have(profile, tmp_path):
    repositories = {"models/org/tiny": {"config.json": b"{}"}}
    code = (
        "import sys; from s1lab.planning.preflight import _on_hub; "
        "print(*map(_on_hub, sys.argv[1:], [False] * 2), sep='\\n')"
    )
    clean = {k: v for k, v in os.environ.items() if k not in ("S1CORE_DATA_DIR", "HF_HUB_OFFLINE")}
    with Hub(repositories) as hub:
        done = subprocess.run(
            [sys.executable, "-c", code, f"org/tiny@{COMMIT}", "org/tiny@" + "0" * 40],
            env={**clean, "HF_ENDPOINT": hub.url},
            capture_output=True,
            text=True,
            timeout=60,
        )
    there, gone = done.stdout.splitlines()[:2]
    assert there.startswith("ok") and gone.startswith("PROBLEM") and "RevisionNotFound" in gone


def test_a_problem_is_one_line_that_names_what_is_wrong():
    line = str(Finding("disk", "full", "make room"))
    assert line.startswith("PROBLEM") and "disk: full" in line and "\n" not in line
