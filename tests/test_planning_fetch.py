"""Fetch: one folder with everything a profile reads, from a server that speaks the Hub's protocol.

The Hub's own clients run, in processes of their own; only the server is ours.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from s1lab.data import benchmarks
from s1lab.data.load import examples, problems
from s1lab.data.sources import source
from s1lab.planning.fetch import damaged
from tests.hub_server import COMMIT, TOKEN, Hub
from tests.planning_fixtures import aime, jsonl, released, save_model, write_profile

MODEL = f"org/tiny@{COMMIT}"
GPQA = {"Question": "Which?", "Correct Answer": "this"} | {
    f"Incorrect Answer {i}": f"that {i}" for i in (1, 2, 3)
}
CARD = "---\nconfigs:\n- config_name: gpqa_diamond\n  data_files: gpqa_diamond.jsonl\n---\n"


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    folder = save_model(tmp_path_factory.mktemp("model"))
    repositories = {
        "models/org/tiny": {path.name: path.read_bytes() for path in folder.iterdir()},
        "datasets/simplescaling/s1K": {"train.jsonl": jsonl(released())},
        "datasets/simplescaling/aime24_nofigures": {"train.jsonl": jsonl(aime())},
        "datasets/Idavidrein/gpqa": {
            "gpqa_diamond.jsonl": jsonl([GPQA] * 198),
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
def profile(tmp_path_factory) -> Path:
    changes = {"model": MODEL, "released": {}, "ablations": {}}
    changes["evaluation"] = {"benchmarks": ["AIME24", "GPQA Diamond"]}
    return write_profile(tmp_path_factory.mktemp("profile") / "h.yaml", **changes)


def fetch(hub: Hub, profile: Path, to: Path, **environment: str) -> subprocess.CompletedProcess:
    clean = {k: v for k, v in os.environ.items() if k not in ("HF_TOKEN", "HF_HUB_OFFLINE")}
    clean |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(to.parent / "hf"), "HF_HUB_DISABLE_XET": "1"}
    command = [sys.executable, "-m", "s1lab.cli", "fetch", str(profile), "--to", str(to)]
    return subprocess.run(
        command, env=clean | environment, capture_output=True, text=True, timeout=120
    )


@pytest.mark.slow
def test_a_mirror_holds_everything_goes_on_where_it_broke_off_and_names_what_it_lacks(
    hub, profile, tmp_path, monkeypatch
):
    mirror = tmp_path / "mirror"
    hub.cut.add("large.safetensors")
    first = fetch(hub, profile, mirror)
    assert first.returncode == 0, first.stderr
    assert "2 there" not in first.stdout and "3 there, 1 missing" in first.stdout
    assert hub.downloads("large.safetensors") == ["", f"bytes={10 << 20}-"]

    # What is gated is missing, with what to do; the rest is there.
    missing = json.loads((mirror / "missing.json").read_text())
    assert list(missing) == ["GPQA Diamond"] and "accept its terms" in missing["GPQA Diamond"]

    # The loaders prefer the mirror: no server is needed any more.
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("S1CORE_DATA_DIR", str(mirror))
    assert len(examples("s1K")) == 1000 and len(benchmarks.load("AIME24")) == 30
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
    assert fetch(hub, profile, mirror).returncode == 0
    assert len(hub.downloads("model.safetensors")) == 1
    assert not hub.downloads("config.json") and not hub.downloads("s1K/train.jsonl")
    assert not damaged(mirror / "models" / MODEL) and len(problems("AIME24")) == 30


@pytest.mark.slow
def test_without_the_training_set_nothing_can_run_and_with_a_token_gpqa_is_had(
    hub, profile, tmp_path
):
    gone = hub.repositories.pop("datasets/simplescaling/s1K")
    try:
        done = fetch(hub, profile, tmp_path / "mirror", HF_TOKEN=TOKEN)
    finally:
        hub.repositories["datasets/simplescaling/s1K"] = gone
    assert done.returncode == 1 and "nothing can run without s1K" in done.stderr
    entries = json.loads((tmp_path / "mirror" / "MANIFEST.json").read_text())
    (gpqa,) = [entry for entry in entries if entry["source"] == "GPQA Diamond"]
    assert gpqa["rows"] == 198 and "do not pass on" in gpqa["note"]
