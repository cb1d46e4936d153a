"""Preflight: each fault that was put in is found before anything long begins, and named; and fetch:
one folder with everything a profile reads, from a server that speaks the Hub's protocol.

Faults are real ones: files are cut and edited, packages of another version are installed on the
path, ports are taken. Only a GPU is played, by a driver's tool that answers what ours would.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from s1core.backends.hf import HFBackend
from s1core.errors import RunError
from s1core.forcing import generate
from s1core.records import Problem
from s1lab import profiles
from s1lab.data import benchmarks, load
from s1lab.data.mirror import CHECKSUMS, damaged
from s1lab.data.sources import source
from s1lab.pipeline import Pipeline
from s1lab.planning import contract
from s1lab.planning.cost import begin_with, cost
from s1lab.planning.fetch import needs
from s1lab.planning.preflight import Finding, broken_shards, check_datasets, preflight
from s1lab.planning.preflight import gpus as find_gpus
from s1lab.runs import RunStore
from tests import planning_fixtures as make
from tests.helpers import cases, command, told
from tests.hub_server import COMMIT, TOKEN, Hub


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return make.save_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def profile(tmp_path, model, monkeypatch):
    """A profile that needs no GPU, whose data and model are whole, in a mirror."""
    make.whole_mirror(tmp_path / "mirror")
    monkeypatch.setenv("S1CORE_DATA_DIR", str(tmp_path / "mirror"))
    changes = {**make.SMALL, "model": str(model), "gpus": 0, "engine_options": {}}
    return profiles.load(make.write_profile(tmp_path / "p.yaml", **changes))


@pytest.fixture
def problems(profile, tmp_path):
    """What stands in the way of the profile, with some of its fields replaced, by name."""

    def found(changes: dict = {}, **site: Any) -> dict[str, Finding]:  # noqa: B006 - only read
        findings = preflight(replace(profile, **changes), tmp_path / "store", **site)
        return {finding.about: finding for finding in findings if finding.level == "PROBLEM"}

    return found


def test_nothing_stands_in_the_way_where_nothing_is_wrong(problems):
    assert problems() == {}


@pytest.mark.parametrize(("answer", "gpus", "said"), cases("preflight")["drivers"])
def test_gpus_are_counted_and_measured_by_what_the_driver_says(
    profile, tmp_path, monkeypatch, answer, gpus, said
):
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\nprintf '%s' '{answer}'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found = find_gpus(replace(profile, gpus=gpus, gpu_memory=79))
    problems = {finding.about: finding for finding in found if finding.level == "PROBLEM"}
    driver = problems.pop("driver", None)
    assert {about: finding.text for about, finding in problems.items()} == said
    import torch

    if answer and not torch.cuda.is_available():
        assert driver is not None and answer.split(", ")[2] in driver.text


def test_a_model_that_does_not_fit_is_refused_with_what_is_too_large(profile, problems, tmp_path):
    large = {"gpus": 1, "model": "Qwen/Qwen2.5-7B-Instruct"}
    pipeline = Pipeline(replace(profile, **large), RunStore(tmp_path / "store"))
    (misfit,) = cost(pipeline).misfits
    assert "moments take" in misfit
    assert problems(large, misfits=(misfit,))["memory"].text == misfit
    with pytest.raises(RunError, match="nothing was started: fine-tuning .*moments take"):
        begin_with(pipeline, None)
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("version", ["0.33.0", None])
def test_a_wrong_or_missing_vllm(problems, version, tmp_path, monkeypatch):
    if version:
        folder = tmp_path / "site" / f"vllm-{version}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}\n")
        monkeypatch.syspath_prepend(str(folder.parent))
    found = problems({"engine": "vllm"})["versions"]
    assert (f"vllm {version} is installed, ==0.32.0 is needed" if version else "vllm") in found.text
    assert "0.32.0" in found.fix


def test_a_full_disk_and_nodes_that_nobody_gave(problems, monkeypatch):
    monkeypatch.setenv("SLURM_NNODES", "1")
    found = problems({"gpus": 16, "processes": 16}, disk=1e18)
    assert "no Slurm job of so many" in found["nodes"].text
    assert "launch/slurm.sbatch" in found["nodes"].fix
    assert "1000000000 needed" in found["disk"].text and "make room" in found["disk"].fix
    late = time.time() + 3600
    monkeypatch.setattr("time.time", lambda: late)
    assert problems({}, disk=1)["clock"].text.startswith("3600 s from")


def test_an_engine_that_cannot_be_started_here_is_said_to_be_unchecked(profile, tmp_path):
    findings = preflight(replace(profile, engine="vllm", gpus=1), tmp_path / "store")
    (engine,) = (finding for finding in findings if finding.about == "engine")
    assert engine.level == "warning" and "Waits and mixed budgets" in engine.text
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_model_that_tries_an_engine_is_decisive_in_any_precision(model, tmp_path, dtype):
    """It ends by itself, waits, and is cut off, and says the same in one batch as alone."""
    asked = [Problem(f"What is {i} + {i}?", "") for i in range(len(contract.CASES))]
    questions = [problem.question for problem in asked]
    folder = contract.decisive(str(model), "s1", questions, tmp_path / "small")
    exact, rough = (HFBackend.from_pretrained(folder, dtype=d) for d in ("float32", dtype))
    made = list(generate(rough, asked, contract.CASES))
    pairs = zip(asked, contract.CASES, strict=True)
    assert made == [g for pair in pairs for g in generate(exact, [pair[0]], pair[1])]
    assert {g.outcome for g in made} == {"ended", "truncated"}
    assert [g.waits_used for g in made][2:4] == [3, 1] and made[4].waits_used > 1
    assert "stop" in {g.finish_reason for g in made}


def test_a_missing_token(profile, problems, monkeypatch):
    monkeypatch.delenv("S1CORE_DATA_DIR")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    asked = replace(profile.evaluation, benchmarks=("GPQA Diamond",))
    needed = needs(replace(profile, evaluation=asked))
    token = next(check_datasets(profile, needed))
    assert "HF_TOKEN" in token.fix and token.optional
    assert replace(token, mild=True).level == "warning"
    # And without any network, one line instead of a long wait for each name.
    (found,) = problems({"evaluation": asked}).values()
    assert "does not answer" in found.text


OTHERS = {
    "row 1": {"AIME24": [{"prompt": "Why?", "answer": "1"}]},
    "29 questions where 30 are expected": {"AIME24": make.aime(29)},
    "999 examples where 1,000 are expected": {"s1K": make.released(999)},
    "sha256": {"s1K": make.released()},  # edited afterwards
}


@pytest.mark.parametrize("said", OTHERS)
def test_a_data_set_that_is_not_what_it_should_be(problems, tmp_path, said):
    (name,) = OTHERS[said]
    make.whole_mirror(tmp_path / "mirror", **OTHERS[said])
    if said == "sha256":
        path = tmp_path / "mirror" / "datasets" / "s1K.jsonl"
        path.write_bytes(path.read_bytes().replace(b"Wait", b"wait", 1))
    found = problems()
    assert list(found) == [name] and said in found[name].text


def test_a_shard_that_is_cut_garbled_edited_or_missing(model, tmp_path):
    folder = shutil.copytree(model, tmp_path / "copy")
    shard = folder / "model.safetensors"
    whole = shard.read_bytes()
    assert broken_shards(folder) == []
    for damage in (whole[:-100], whole[:5], whole[:8] + b"\x00" * 20 + whole[28:], whole + b"0"):
        shard.write_bytes(damage)
        (wrong,) = broken_shards(folder)
        assert wrong.startswith("model.safetensors is not whole: ")
    (folder / CHECKSUMS).write_text(f"{hashlib.sha256(whole).hexdigest()}  model.safetensors\n")
    shard.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert "another sha256" in broken_shards(folder)[0]
    shard.unlink()
    assert "no safetensors" in broken_shards(folder)[0]


def test_the_command_ends_with_what_to_fix_and_refuses(profile, tmp_path, monkeypatch):
    make.whole_mirror(tmp_path / "mirror", AIME24=make.aime(29))
    monkeypatch.setenv("S1CORE_STORE", str(tmp_path / "store"))
    code, shown = told("s1lab", "preflight", tmp_path / "p.yaml")
    assert code and "1 to fix before h100 can run:\n  1. AIME24: fetch again" in shown
    # The same fault stops the run itself before anything is trained.
    monkeypatch.setenv("S1CORE_DATA_DIR", str(tmp_path / "nowhere"))
    code, shown = told("s1lab", "reproduce", tmp_path / "p.yaml", "--yes")
    assert code and "is not a data mirror" in shown


@pytest.mark.slow
def test_a_revision_that_the_hub_does_not_have(profile, tmp_path):
    repositories = {"models/org/tiny": {"config.json": b"{}"}}
    code = "import sys; from s1lab.planning.preflight import check_model; "
    code += "print(*map(check_model, sys.argv[1:]), sep='\\n')"
    clean = {k: v for k, v in os.environ.items() if k not in ("S1CORE_DATA_DIR", "HF_HUB_OFFLINE")}
    asked = [sys.executable, "-c", code, f"org/tiny@{COMMIT}", "org/tiny@" + "0" * 40]
    with Hub(repositories) as hub:
        told = subprocess.check_output(asked, env={**clean, "HF_ENDPOINT": hub.url}, text=True)
    there, gone = told.splitlines()[:2]
    assert there.startswith("ok") and gone.startswith("PROBLEM") and "RevisionNotFound" in gone


MODEL = f"org/tiny@{COMMIT}"
GPQA = {"Question": "Which?", "Correct Answer": "this"} | {
    f"Incorrect Answer {i}": f"that {i}" for i in (1, 2, 3)
}
CARD = "---\nconfigs:\n- config_name: gpqa_diamond\n  data_files: gpqa_diamond.jsonl\n---\n"


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    folder = make.save_model(tmp_path_factory.mktemp("model"))
    repositories = {
        "models/org/tiny": {path.name: path.read_bytes() for path in folder.iterdir()},
        "datasets/simplescaling/s1K": {"train.jsonl": make.jsonl(make.released())},
        "datasets/simplescaling/aime24_nofigures": {"train.jsonl": make.jsonl(make.aime())},
        "datasets/Idavidrein/gpqa": {
            "gpqa_diamond.jsonl": make.jsonl([GPQA] * 198),
            "README.md": CARD.encode(),
        },
    }
    # Larger than the pieces in which the Hub's client writes, so that a part of it stays.
    repositories["models/org/tiny"]["large.safetensors"] = bytes(24 << 20)
    commits = {COMMIT, source("s1K").revision}
    gated = {"datasets/Idavidrein/gpqa"}
    with Hub(repositories, gated=gated, commits=commits) as server:
        yield server


@pytest.fixture(scope="module")
def hub_profile(tmp_path_factory) -> Path:
    changes = {"model": MODEL, "released": {}, "ablations": {}}
    changes["evaluation"] = {"benchmarks": ["AIME24", "GPQA Diamond"]}
    return make.write_profile(tmp_path_factory.mktemp("profile") / "h.yaml", **changes)


def fetch(hub: Hub, profile: Path, to: Path, **environment: str) -> subprocess.CompletedProcess:
    told = {"HF_TOKEN": "", "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
    told |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(to.parent / "hf"), **environment}
    return command("s1lab", "fetch", profile, "--to", to, env=told)


@pytest.mark.slow
def test_a_mirror_holds_everything_goes_on_where_it_broke_off_and_names_what_it_lacks(
    hub, hub_profile, tmp_path, monkeypatch
):
    mirror = tmp_path / "mirror"
    hub.cut.add("large.safetensors")
    first = fetch(hub, hub_profile, mirror)
    assert first.returncode == 0, first.stderr
    assert "2 there" not in first.stdout and "3 there, 1 missing" in first.stdout
    assert hub.downloads("large.safetensors") == ["", f"bytes={10 << 20}-"]

    # What is gated is missing, with what to do; the rest is there.
    missing = json.loads((mirror / "missing.json").read_text())
    assert list(missing) == ["GPQA Diamond"] and "accept its terms" in missing["GPQA Diamond"]

    # The loaders prefer the mirror: no server is needed any more.
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("S1CORE_DATA_DIR", str(mirror))
    assert len(load.examples("s1K")) == 1000 and len(benchmarks.load("AIME24")) == 30
    from s1core.checkpoints import load_tokenizer, locate

    assert Path(locate(MODEL)) == mirror / "models" / MODEL
    assert not damaged(mirror / "models" / MODEL)
    assert load_tokenizer(MODEL).eos_token == "<|im_end|>"

    # Again, with one file damaged: only that one is brought again.
    shard = mirror / "models" / MODEL / "model.safetensors"
    content = shard.read_bytes()
    shard.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    data = mirror / "datasets" / "AIME24.jsonl"
    data.write_bytes(data.read_bytes() + b"{}\n")
    hub.asked.clear()
    assert fetch(hub, hub_profile, mirror).returncode == 0
    assert len(hub.downloads("model.safetensors")) == 1
    assert not hub.downloads("config.json") and not hub.downloads("s1K/train.jsonl")
    assert not damaged(mirror / "models" / MODEL) and len(load.problems("AIME24")) == 30


@pytest.mark.slow
def test_without_the_training_set_nothing_can_run_and_with_a_token_gpqa_is_had(
    hub, hub_profile, tmp_path
):
    gone = hub.repositories.pop("datasets/simplescaling/s1K")
    try:
        done = fetch(hub, hub_profile, tmp_path / "mirror", HF_TOKEN=TOKEN)
    finally:
        hub.repositories["datasets/simplescaling/s1K"] = gone
    assert done.returncode == 1 and "nothing can run without s1K" in done.stderr
    entries = json.loads((tmp_path / "mirror" / "MANIFEST.json").read_text())
    (gpqa,) = [entry for entry in entries if entry["source"] == "GPQA Diamond"]
    assert gpqa["rows"] == 198 and "do not pass on" in gpqa["note"]
