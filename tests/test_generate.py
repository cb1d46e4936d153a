"""`s1core generate` on every engine: resumed, retried, refused before any work."""

import importlib.util
import json
import multiprocessing
import random
import signal
import time
from pathlib import Path

import pytest

from s1core.backends.hf import HFBackend
from s1core.cli import main
from s1core.cli.generate import choose_budget
from s1core.forcing import Budget
from s1core.forcing import generate as force
from s1core.records import Generation, Problem, read_jsonl, write_jsonl
from s1lab.official import loops
from tests import helpers
from tests.completions_server import CompletionsServer
from tests.helpers import cases, tiny_model, tiny_tokenizer, told
from tests.test_backends import PROBLEMS

BUDGET = Budget(20, num_ignore=1, max_answer=6)
OPTIONS = ["--budget", "20", "--waits", "1", "--max-answer", "6"]


@pytest.fixture(scope="module")
def server():
    return CompletionsServer()


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_jsonl("p.jsonl", PROBLEMS)
    return tmp_path


def run(*arguments: str, code: int = 0) -> str:
    ended, shown = told("s1core", "generate", "--input", "p.jsonl", *arguments)
    assert ended == code, shown
    return shown


def refused(*arguments: str, command=("s1core", "generate")) -> str:
    """What the command says when it refuses; nothing may have been written."""
    before = sorted(Path().iterdir())
    said = helpers.refused(*command, "--input", "p.jsonl", *arguments)
    assert sorted(Path().iterdir()) == before
    return said


def made(path: str = "o.jsonl") -> list[Generation]:
    return list(read_jsonl(path, Generation))


def settings(path: str = "o.jsonl") -> dict:
    return json.loads(Path(path + ".settings.json").read_text())


def at(server, tiny: str, api: str = "/v1", faults=(), attempts: int = 2) -> list[str]:
    server.begin(faults)
    options = ["--engine-option", f"attempts={attempts}", "--batch-size", "4"]
    options += ["--backend", "completions", "--url", server.url + api, "--tokenizer", tiny]
    return ["--model", "tiny", *options, *OPTIONS]


def test_a_server_gives_the_file_of_transformers_and_text_is_inexact(work, server, tiny):
    shown = run("--model", tiny, "--output", "hf.jsonl", *OPTIONS)
    assert "7 generations (7 new)" in shown and "tokens/s" in shown and "cut short" in shown
    run(*at(server, tiny), "--output", "o.jsonl")
    whole = list(force(HFBackend(tiny_model(), tiny_tokenizer()), PROBLEMS, BUDGET))
    assert made() == made("hf.jsonl") == whole
    assert settings("hf.jsonl")["exact_tokens"] is settings()["exact_tokens"] is True
    assert settings()["url"] == server.url + "/v1" and settings()["budget"]["num_ignore"] == 1
    shown = run(*at(server, tiny, "/text/v1"), "--output", "text.jsonl")
    assert settings("text.jsonl")["exact_tokens"] is False and "exact_tokens: false" in shown


def test_what_a_server_fails_on_is_no_generation_and_is_tried_again(work, server, tiny):
    whole = force(HFBackend(tiny_model(), tiny_tokenizer()), PROBLEMS, BUDGET)
    faults = ["500", "400", "500", "500", "500", "500", "500"]
    shown = run(*at(server, tiny, faults=faults, attempts=1), "--output", "o.jsonl", code=1)
    failures = list(read_jsonl("o.jsonl.failures.jsonl"))
    assert failures and len(made()) == 7 - len(failures)
    assert f"failed: {len(failures)}, never graded" in shown and "HTTP 500" in shown
    first = {g.problem_key for g in made()}
    assert not first & {f["problem_key"] for f in failures}
    run(*at(server, tiny, attempts=1), "--output", "o.jsonl")
    assert not Path("o.jsonl.failures.jsonl").exists()
    by_key = {g.problem_key: g for g in made()}
    assert by_key == {g.problem_key: g for g in whole}
    # What was answered before was not asked again.
    asked = [tiny_tokenizer().decode(r["prompt"]) for r in server.seen]
    done = [p.question for p in PROBLEMS if p.key in first]
    assert not [q for q in done if any(f"user\n{q}<" in prompt for prompt in asked)]


def test_an_effort_is_a_budget_by_name_and_a_profile_has_names_of_its_own(work, tiny):
    line = "efforts: {low: {max_thinking: 3}, high: {num: 1}, odd: {max_thinking: x}}"
    Path("p.yaml").write_text(f"name: mine\nseed: 0\n{line}\n")
    common = ["--model", tiny, "--output", "o.jsonl", "--efforts", "p.yaml"]
    run(*common, "--effort", "low", "--max-answer", "4")
    assert settings()["budget"]["max_thinking"] == 3 and settings()["budget"]["max_answer"] == 4
    assert max(g.thinking_tokens for g in made()) <= 3
    assert "pick one of low, high" in refused(*common, "--effort", "huge")
    assert "effort 'high'" in refused(*common, "--effort", "high")
    assert "max_thinking must be a whole number" in refused(*common, "--effort", "odd")
    low, medium, high = (choose_budget({}, name, None) for name in ("low", "medium", "high"))
    assert low.max_thinking < medium.max_thinking == high.max_thinking
    assert medium.num_ignore < high.num_ignore
    for text in ("- a", "a: [", "a: 1", "1: {}", "{}", "", "\x00"):
        Path("p.yaml").write_text(text)
        assert "p.yaml " in refused(*common, "--effort", "low")


@pytest.mark.parametrize("loop", ["harness", "readme", "generate"])
def test_an_official_loop_makes_what_the_loop_makes(work, tiny, loop):
    given = [] if loop == "generate" else ["--budget", "12", "--waits", "1"]
    given += ["--max-answer", "9"] if loop == "harness" else []
    options = ["--input", "p.jsonl", "--model", tiny, "--output", "o.jsonl", "--limit", "1"]
    code, shown = told("s1lab", "loop", loop, *options, *given)
    assert code == 0, shown
    backend = HFBackend(tiny_model(), tiny_tokenizer())
    asked = {"cap": 12, "waits": 1, "max_answer": 9}
    assert made() == list(loops.run(loop, backend, PROBLEMS[:1], **asked))
    assert settings()["exact_tokens"] is (loop == "harness")


@pytest.mark.parametrize("arguments, said", cases("generate")["loops"].items())
def test_what_an_official_loop_does_not_do_is_said(work, tiny, arguments, said):
    common = ["--model", tiny, "--output", "o.jsonl"]
    assert said in refused(*common, command=("s1lab", "loop", *arguments.split()))


@pytest.mark.parametrize("arguments, said", cases("generate")["refused"].items())
def test_what_does_not_fit_is_refused_before_any_work(work, tiny, arguments, said):
    common = ["--model", tiny, "--output", "o.jsonl"]
    if arguments.endswith("vllm") and importlib.util.find_spec("vllm"):
        pytest.skip("vLLM is installed")
    assert said in refused(*common, *arguments.split(" "))


def test_problems_that_are_there_twice_or_do_not_fit_are_refused_by_number(work, tiny):
    write_jsonl("p.jsonl", [*PROBLEMS, PROBLEMS[2]])
    assert "problem 8" in refused("--model", tiny, "--output", "o.jsonl")
    write_jsonl("p.jsonl", [PROBLEMS[0], Problem("yes " * 600, "")])
    said = refused("--model", tiny, "--output", "o.jsonl")
    assert "problem 2" in said and "leaves no room" in said


def test_only_a_run_of_these_settings_that_nobody_writes_is_continued(work, tiny):
    from filelock import FileLock

    common = ["--model", tiny, "--output", "o.jsonl", *OPTIONS]
    run(*common)
    file, whole = Path("o.jsonl"), Path("o.jsonl").read_bytes()
    assert "begun with other settings" in refused(*common, "--seed", "5")
    with FileLock(".o.jsonl.lock"):
        assert "another command is writing" in refused(*common)
    file.write_bytes(whole[: len(whole) // 2])
    run(*common)
    assert file.read_bytes() == whole
    file.write_bytes(whole + whole.splitlines(keepends=True)[0])
    assert "twice; a file holds one run, so remove one" in refused(*common)
    for text in ("", "{", "[]", "null", "{}", '{"budget": 3}', "\x00" * 9, "[" * 9999):
        Path("o.jsonl.settings.json").write_text(text)
        said = refused(*common)
        assert "o.jsonl.settings.json is damaged" in said and "move it" in said
    Path("o.jsonl.settings.json").unlink()
    assert "was not made by this command" in refused(*common)


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.mark.parametrize("prompts", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_run_killed_at_random_and_resumed_equals_the_undisturbed_one(work, tiny, prompts):
    write_jsonl("p.jsonl", [Problem(f"Use {i} 7 to make {i % 90}", "") for i in range(prompts)])
    common = f"generate --input p.jsonl --model {tiny} --batch-size 10 --temperature 1"
    common += " --budget 6 --waits 1 --max-answer 3 --output "
    context = multiprocessing.get_context("forkserver")  # imports once; each child dies alone
    context.set_forkserver_preload(["s1core.backends.hf", "s1core.cli", "s1core.forcing"])

    def start(output: str) -> multiprocessing.Process:
        child = context.Process(target=main, args=[(common + output).split()], daemon=True)
        child.start()
        return child

    chance, resumed, kills = random.Random(0), Path("killed.jsonl"), []
    for _ in range(3):
        goal = _lines(resumed) + chance.randint(1, prompts // 6)
        child = start(resumed.name)
        while _lines(resumed) < goal and child.is_alive():
            time.sleep(0.001)
        time.sleep(chance.random() * 0.01)
        child.kill()
        child.join()
        if child.exitcode == -signal.SIGKILL:  # else it was faster, and is done
            kills.append(_lines(resumed))
    assert len(kills) > 1 and all(0 < kept < prompts for kept in kills)
    for output in (resumed.name, "whole.jsonl"):
        child = start(output)
        child.join()
        assert child.exitcode == 0
    assert _lines(resumed) == prompts
    assert resumed.read_bytes() == Path("whole.jsonl").read_bytes()
