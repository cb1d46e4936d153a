"""Regrading other people's logs: layouts, damage, and agreement with the stored verdicts."""

import json
from pathlib import Path

import pytest

from s1core.errors import InputError
from s1lab.data.benchmarks import benchmark, load
from s1lab.evaluation.logs import known_logs, read_log, regrade, summary
from tests.helpers import CHECKOUT, cases, rows

KNOWN = known_logs()["files"]


@pytest.mark.parametrize("known", KNOWN, ids=[entry["file"] for entry in KNOWN])
def test_regrading_real_logs_gives_what_is_stated(known, data_dir):
    """The list of disagreements in the package is the one that comes out, no more and no less."""
    fresh = summary(regrade(read_log(data_dir / "logs" / known["file"]), known["kind"]))
    explained = [dict(row) for row in known["disagreements"]]
    said = [(row.pop("right"), row.pop("why")) for row in explained]
    assert fresh == {**{key: known[key] for key in fresh}, "disagreements": explained}
    assert sum(right != "ours" for right, _ in said) < known["n"] / 100
    assert all(why for _, why in said)


@pytest.mark.parametrize(("file", "n", "right", "budget"), cases("logs")["foreign"])
def test_runs_of_others_under_budgets_are_read(file, n, right, budget, data_dir):
    log = read_log(data_dir / "generations" / file)
    graded = regrade(log, "multiple_choice" if "samples" in file else "math")
    found = [result.grade.status for result in graded]
    assert (len(found), found.count("correct")) == (n, right)
    assert {response.budget for response in log.responses} == {budget}
    log = read_log(data_dir / "generations/tts_knowledge/qwen3-8b/Qwen3-8B_simpleqa_exd2.jsonl")
    assert {response.stored for response in log.responses} == {True, False}


GENERIC = {"question": "1+1?", "gold": "2", "response": "Answer: 2", "correct": True}
HARNESS = cases("logs")["harness"]


def write(path: Path, *lines: object, end: str = "\n") -> Path:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts) + end, encoding="utf-8")
    return path


def test_both_layouts_may_hold_several_responses(tmp_path):
    row = {**GENERIC, "responses": ["Answer: 2", "Answer: 3"], "scores": [True, True]}
    generic = read_log(write(tmp_path / "log.jsonl", row))
    found = summary(regrade(generic))
    assert found["confusion"] == {"correct -> correct": 1, "correct -> wrong": 1}
    assert (found["agreement"], len(found["disagreements"])) == (0.5, 1)
    harness = read_log(write(tmp_path / "samples_task.jsonl", HARNESS))
    assert (generic.layout, harness.layout) == ("generic", "lm-evaluation-harness")
    assert [r.grade.status for r in regrade(harness)] == ["correct", "wrong"]
    assert harness.responses[0].stored is True


def test_a_sample_file_written_by_the_harness_itself_is_read():
    """`fixtures/samples_gsm8k_tiny.jsonl` was written by lm-evaluation-harness 0.4.13."""
    log = read_log(CHECKOUT / "tests/fixtures/samples_gsm8k_tiny.jsonl")
    again = regrade(log)
    assert (log.layout, log.torn, len(log.responses)) == ("lm-evaluation-harness", None, 8)
    assert all(response.stored is not None for response in log.responses)
    assert summary(again)["agreement"] == 1.0


def test_a_torn_last_line_is_left_out_and_any_other_damage_is_an_error(tmp_path):
    path, whole = tmp_path / "log.jsonl", json.dumps(GENERIC).encode() + b"\n"
    path.write_bytes(whole + whole[:20])
    assert (len(read_log(path).responses), read_log(path).torn) == (1, 2)
    for damaged in (b'{"question": \n' + whole, b"\xff\xfe\n{}\n", b'{"question": \n'):
        path.write_bytes(whole + damaged)
        with pytest.raises(InputError, match=r"log\.jsonl:2: damaged line"):
            read_log(path)


@pytest.mark.parametrize(("row", "reason"), rows("refused_log_rows.jsonl"))
def test_a_row_that_cannot_be_used_is_left_out_and_named(row, reason, tmp_path):
    log = read_log(write(tmp_path / "log.jsonl", GENERIC, row, HARNESS))
    assert len(log.responses) == 3
    assert log.left_out[0].startswith(f"{tmp_path / 'log.jsonl'}:2: ")
    assert reason in log.left_out[0]
    with pytest.raises(InputError, match=r"log\.jsonl:1: "):
        read_log(write(tmp_path / "log.jsonl", row))


def test_a_stored_verdict_and_a_finish_reason_are_read_as_they_are_meant(tmp_path):
    stored = cases("logs")["stored"]
    said = [(word, known) for known, words in stored.items() for word in words]
    rows = [{**GENERIC, "correct": word} for word, _ in said]
    log = read_log(write(tmp_path / "log.jsonl", *rows))
    assert [response.stored for response in log.responses] == [known for _, known in said]
    stopped = {**GENERIC, "response": "<think>never ended", "finish_reason": "stop"}
    cut = {**GENERIC, "response": "so we get 2", "finish_reason": "length"}
    again = regrade(read_log(write(tmp_path / "log.jsonl", stopped, cut)))
    assert [r.grade.status for r in again] == ["no_answer", "truncated"]


def test_the_gold_answer_comes_before_the_worked_solution(tmp_path):
    graded = regrade(read_log(write(tmp_path / "log.jsonl", *cases("logs")["golds"])))
    assert [result.grade.status for result in graded] == ["correct"] * 4


def test_nothing_to_grade_is_refused(tmp_path):
    for content in (b"", b"\n\n", b"\x00\xff\xfe" * 50):
        (tmp_path / "log.jsonl").write_bytes(content)
        with pytest.raises(InputError, match="holds no responses to grade"):
            read_log(tmp_path / "log.jsonl")
    log = write(tmp_path / "log.jsonl", GENERIC)
    with pytest.raises(InputError, match="unknown kind of grading"):
        regrade(read_log(log), "physics")  # type: ignore[arg-type]
    assert summary(regrade(read_log(write(log, {**GENERIC, "correct": None}))))["agreement"] is None


def test_a_benchmark_grades_its_own_solutions(data_dir):
    from s1core.grading import grade_text

    problems, kind = load("GSM8K", data_dir)[:200], benchmark("GSM8K").kind
    assert all(grade_text(p, p.solution, kind).status == "correct" for p in problems)


def test_another_number_of_rows_and_an_unknown_benchmark_are_refused(monkeypatch):
    monkeypatch.setattr("s1lab.data.benchmarks.problems", lambda name, data_dir: [])
    with pytest.raises(InputError, match="has 0 questions where 30 are expected"):
        load("AIME25")
    with pytest.raises(InputError, match="AIME24, AIME25, MATH500, GPQA Diamond"):
        load("AIME26")
