"""What runs on GPUs, with the servers and the processes that a CPU has.

Where `vllm serve` is started, a real completions server over the transformers backend answers. With
vLLM installed its own server does, two replicas behind it: `python -m pytest -m vllm` here.
"""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from launch.rehearsal.rehearse import VLLM_ON_CPU, find_vllm
from s1core.errors import BackendError, InputError, reason_in, reasoned
from s1core.records import Generation
from s1lab import experiments, profiles
from s1lab.kinds import keeper, launch
from s1lab.pipeline import Pipeline
from s1lab.runs import RunStore
from tests import planning_fixtures as make
from tests.helpers import CHECKOUT, processes, wait_until

STANDING_IN = """
import sys, threading
from tests.completions_server import CompletionsServer
CompletionsServer(int(sys.argv[sys.argv.index("--port") + 1]), "model")
threading.Event().wait()
"""
VLLM = [pytest.mark.vllm, pytest.mark.slow]
WITHOUT = pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="no vLLM here")


@pytest.fixture(params=["stand-in", pytest.param("vllm", marks=[*VLLM, WITHOUT])])
def small(request, tmp_path, monkeypatch) -> Pipeline:
    """A profile that samples twelve questions over a server."""
    site = tmp_path / "site"
    if request.param == "vllm":
        find_vllm(sys.executable, site)
        model, sizes = "pocket-s1", {"max_model_len": 512, "kv_cache_memory_bytes": 64 << 20}
        options = VLLM_ON_CPU | sizes
        monkeypatch.setenv("VLLM_CPU_OMP_THREADS_BIND", "nobind")
    else:
        inner = site / "vllm" / "entrypoints" / "cli"
        inner.mkdir(parents=True)
        for folder in (inner, *inner.parents[:2]):
            (folder / "__init__.py").touch()
        (inner / "main.py").write_text(STANDING_IN)
        model, options = str(make.save_model(tmp_path / "model")), {}
    monkeypatch.setenv("PYTHONPATH", f"{site}:{CHECKOUT}")
    monkeypatch.setenv("S1CORE_DATA_DIR", str(tmp_path / "mirror"))
    make.whole_mirror(tmp_path / "mirror")
    asked = {"benchmarks": ["AIME24"], "questions": 12, "samples": 3, "temperature": 1.0}
    asked |= {"max_thinking": 100, "max_answer": 24}
    changes = {**make.SMALL, "evaluation": asked, "model": model, "engine": "vllm", "gpus": 0}
    changes |= {"processes": 2, "batch_size": 4, "engine_options": options}
    path = make.write_profile(tmp_path / "small.yaml", **changes)
    return Pipeline(profiles.load(path), RunStore(tmp_path / "store"))


def base_with_waits(pipeline: Pipeline) -> experiments.Condition:
    """A condition that needs no training."""
    arms = experiments.arms(pipeline.profile)
    return next(c for c in arms if c.training is None and c.budget.num_ignore)


def rows(run) -> list[Generation]:
    return sorted(run.records(Generation), key=lambda g: (g.problem_key, g.sample))


def group_of(process: subprocess.Popen) -> int:
    """The process group of what a keeper runs."""
    told = ["ps", "-o", "pid=", "--ppid", str(process.pid)]
    return int(subprocess.check_output(told, text=True).split()[0])


@pytest.mark.parametrize("killed", ["--port", "EngineCore_DP1"])
def test_a_server_or_a_replica_that_is_killed_costs_nothing_that_was_finished(
    small, tmp_path, killed
):
    if killed.startswith("Engine") and small.profile.model != "pocket-s1":
        pytest.skip("only vLLM has replicas")
    condition, said = base_with_waits(small), []
    whole = Pipeline(small.profile, RunStore(tmp_path / "whole"), say=said.append)
    undisturbed = rows(whole.run(condition))
    whole.close()
    assert any(g.waits_used for g in undisturbed)
    small.say = said.append
    worker = threading.Thread(target=small.run, args=(condition,))
    worker.start()
    run = small.locate_run(condition)
    wait_until(lambda: run.path.exists() and len(list(run.records())) >= 8, 900)
    group = group_of(small._engine[1]._process)
    victims = [pid for pid, args in processes(group).items() if killed in args]
    before = list(run.records())
    os.kill(victims[0], signal.SIGKILL)
    worker.join()
    assert [line for line in said if "starting it again" in line]
    assert run.is_finished and list(run.records())[: len(before)] == before
    assert rows(run) == undisturbed and len(undisturbed) == 36
    small.close()
    assert not processes(group)
    with pytest.raises(BackendError, match="nothing more is started"):
        small.backend(small.profile.model)


def test_a_server_that_does_not_start_says_why(tmp_path, monkeypatch):
    inner = tmp_path / "site" / "vllm"
    inner.mkdir(parents=True)
    (inner / "__init__.py").write_text("raise ValueError('no memory for the cache')")
    monkeypatch.setenv("PYTHONPATH", f"{inner.parent}:{CHECKOUT}")
    with pytest.raises(BackendError, match="does not start: ValueError: no memory for the cache"):
        launch.ServedBackend("pocket-s1", gpus=1, batch_size=1, log=tmp_path / "server.log")


def test_what_a_keeper_runs_ends_with_whoever_asked_even_by_kill_9(tmp_path):
    mark = tmp_path / "pid"
    inner = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(600)"
    outer = (
        "import sys, time; from s1lab.kinds.keeper import start; "
        "start([[sys.executable, '-c', *sys.argv[1:]]]); time.sleep(600)"
    )
    asking = subprocess.Popen([sys.executable, "-c", outer, inner, str(mark)])
    wait_until(lambda: mark.exists() and mark.read_text())
    asking.kill()
    asking.wait()
    kept = int(mark.read_text())
    wait_until(lambda: not processes(kept))
    assert not processes(kept)


def test_every_gpu_of_every_node_samples_and_trains(monkeypatch):
    options = {"tensor_parallel_size": 2, "enforce_eager": True, "dtype": "bfloat16"}
    (alone,) = launch.serve("m", 8000, 8, options)
    told = dict(zip(alone, alone[1:], strict=False))
    assert told["--data-parallel-size"] == "4" and told["--tensor-parallel-size"] == "2"
    assert "--enforce-eager" in alone and told["--load-format"] == "safetensors"
    assert "--data-parallel-size" not in launch.serve("m", 8000, 1, {})[0]
    monkeypatch.setenv("SLURM_NNODES", "2")
    monkeypatch.setenv("SLURMD_NODENAME", "localhost")
    first, second = launch.serve("m", 8000, 16, options)
    assert first[first.index("--data-parallel-size-local") + 1] == "4"
    assert second[-3:] == ["--headless", "--data-parallel-start-rank", "4"]
    ours = {"--port", "--api-server-count"}  # of whoever answers
    assert ours <= {*first} and not ours & {*second}
    trained = launch.torchrun(16, ["-m", "x"])
    assert len(trained) == 2 and trained[0] == trained[1]
    assert trained[0][trained[0].index("--nproc-per-node") + 1] == "8"


def test_a_status_is_passed_on_and_the_stand_in_for_srun_ends_all_nodes_when_one_fails(
    tmp_path, monkeypatch
):
    process = keeper.start([[sys.executable, "-c", "raise SystemExit(3)"]])
    assert process.wait() == 3
    keeper.stop(process)
    srun = shutil.copy(CHECKOUT / "launch" / "rehearsal" / "srun.sh", tmp_path / "srun")
    Path(srun).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_NNODES", "2")
    commands = [[sys.executable, "-c", "import time; time.sleep(600)"]]
    commands += [[sys.executable, "-c", "raise SystemExit(5)"]]
    assert keeper.start(commands).wait(timeout=120) != 0


def test_conditions_of_one_checkpoint_are_asked_together(small):
    """What `reproduce` does: four conditions over one server, and nothing is left running."""
    from s1lab.cli.profile import _make
    from s1lab.runs import lock

    profile = replace(small.profile, processes=1)
    made = Pipeline(profile, small.store, say=small.say)
    steps = [s for s in made.steps() if s.condition and s.training is None]
    assert len(steps) >= 2
    with lock(made.store.root):
        _make(made, steps, 1, "unused", None)
    assert all(step.run.is_finished for step in steps)
    log = (made.store.root / "server.log").read_text()
    assert log.count("Application startup complete") in (0, 1)


def test_the_reason_is_the_deepest_cause_or_what_a_child_process_wrote(capfd):
    said = "^vLLM does not start: ValueError: To serve at least one request, 4.0 GiB KV .* needed$"
    with pytest.raises(BackendError, match=said), reasoned("vLLM"):
        try:
            raise ValueError("To serve at least one request, 4.0 GiB KV cache is needed")
        except ValueError as error:
            raise RuntimeError("Engine core initialization failed. See root cause.") from error
    written = "(EngineCore pid=7) torch.OutOfMemoryError: CUDA out of memory. Tried 2 GiB\\nmore\\n"
    said = "^vLLM does not start: OutOfMemoryError: CUDA out of"
    # A command of its own tells no more than its exit status.
    for told in ("Engine core initialization failed. See root cause.", "its server ended with 1"):
        with pytest.raises(BackendError, match=said), reasoned("vLLM"):
            os.system(f"printf '{written}' >&2; sleep 0.2")
            raise RuntimeError(told)
    assert "CUDA out of memory" in capfd.readouterr().err


def test_without_any_reason_the_error_itself_is_told_and_ours_pass_unchanged():
    with pytest.raises(BackendError, match="Engine core initialization failed"), reasoned("vLLM"):
        raise RuntimeError("Engine core initialization failed.")
    with pytest.raises(InputError, match="^as it is$"), reasoned("vLLM"):
        raise InputError("as it is")
    lines = ["(APIServer) INFO started", "RuntimeError: Engine core initialization failed."]
    lines += ["x.ValidationError: 1 validation error for ModelConfig", "  Value error, too long"]
    assert reason_in(lines) == "Value error, too long"
    assert reason_in([*lines[:2], "", "the end"]) == "the end" and reason_in([]) == ""
