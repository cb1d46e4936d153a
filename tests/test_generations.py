"""What released models said: how a logged row becomes an outcome, and how outcomes are kept."""

import json
import os
from pathlib import Path

import pytest

from s1core.errors import InputError
from s1lab.audit.published import accuracy_of
from s1lab.generations import files, tables
from s1lab.generations.files import WAITS, counter, outcomes, split, stated_number
from tests.helpers import CHECKOUT, cases

SAMPLES = "crosslingual/fork/cap-500/samples_x.jsonl"
COMMITTED = CHECKOUT / "results" / "generations"


def words(texts):
    return [len(text.split()) for text in texts]


def log(folder: Path, name: str, *rows: dict) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize(("text", "parts"), cases("generations")["split"])
def test_thinking_ends_at_the_delimiter_and_was_cut_where_the_cue_follows_it(text, parts):
    assert split(text) == tuple(parts)


@pytest.mark.parametrize(("text", "language", "number"), cases("generations")["numbers"])
def test_a_stated_number_is_read_in_any_script(text, language, number):
    assert stated_number(text, language) == stated_number(text, language, guess=False) == number
    assert stated_number("5 cars in 15 minutes") == 15  # the last is a guess
    assert stated_number("5 cars in 15 minutes", guess=False) is None


def sample(answer: str) -> dict:
    doc = {"question": " Which? ", "option_a": "this", "option_b": "that"}
    asked = {"gen_args_0": {"arg_0": "", "arg_1": {"max_tokens_thinking": 500}}}
    said = [[f"<|im_start|>think\none two{answer}"]]
    return {"doc": doc, "target": "B", "arguments": asked, "resps": said}


def read(tmp_path: Path, name: str, *rows: dict) -> list:
    return list(outcomes(log(tmp_path, name, *rows), name, words).itertuples())


def test_samples_of_the_harness_carry_their_cap_and_say_whether_it_cut(tmp_path):
    cut = sample("\n<|im_start|>answer\nFinal Answer: B. that")
    ended = sample("<|im_start|>answer\nThe correct answer is A.")
    found = read(tmp_path, SAMPLES, cut, ended)
    told = [(o.condition, o.status, o.cut) for o in found]
    assert told == [("500", "correct", 1), ("500", "wrong", 0)]
    assert {(o.set, o.model, o.thinking_tokens) for o in found} == {("fork", "s1.1-32B", 2)}


@pytest.mark.parametrize("language", WAITS)
def test_one_forced_wait_is_found_in_every_language_and_splits_the_thought(tmp_path, language):
    name = f"crosslingual/mgsm_one_wait/32B/wait/{language}.jsonl"
    before = f"<|im_start|>think\nSo it is \\boxed{{7}}.\n{WAITS[language]}, again.\n\nIt is 8."
    said = (
        f"{before}\nFinal Answer: \\boxed{{8}}",
        f"{before} and onFinal Answer: 9",
        "<|im_start|>think\n8\n\nFinal Answer: 8",
    )
    rows = ({"prompt": "2+6?", "gold_answer": 8, "output": output} for output in said)
    assert [(o.before, o.status, o.cut, o.waits, o.place) for o in read(tmp_path, name, *rows)] == [
        ("wrong", "correct", 0, 1, "line"),
        ("wrong", "wrong", 1, 1, "line"),
        ("", "correct", 1, 0, ""),
    ]


def test_files_of_others_are_read_each_in_its_own_columns(tmp_path):
    row = {"problem": "Who?", "answer": "Bob", "grading": "C", "thinking_tokens": 9}
    row |= {"response": "", "append_wait_place": [3, 5]}
    (found,) = read(tmp_path, "tts_knowledge/m/Qwen3-8B_simpleqa_exd2.jsonl", row)
    assert (found.model, found.condition, found.status) == ("Qwen3-8B", "2", "no_answer")
    assert (found.waits, found.place, found.thinking_tokens, found.cut) == (2, "noted", 9, 1)
    assert found.method == "gold not in the answer"
    code = "a b<|end_of_thought|> \\boxed{033}"
    row = {"question": "q", "gt": "33", "code": [code], "score": [True]}
    (found,) = read(tmp_path, "skythought_aime24/checkpoint-21.jsonl", row)
    assert (found.condition, found.status) == ("21", "correct")
    assert found.method.endswith("stored correct")


@pytest.mark.parametrize("row", [{"document": {}}, sample("x") | {"resps": []}, {"doc": "text"}])
def test_a_file_with_other_columns_is_refused_in_a_sentence(tmp_path, row):
    with pytest.raises(InputError, match="a row lacks"):
        read(tmp_path, SAMPLES, row)


def test_every_file_has_a_commit_a_digest_and_terms_and_another_is_refused(tmp_path):
    entry, *rest = files.entries()
    assert len(rest) == 121 and sum(entry.rows for entry in rest) > 28_000
    for one in rest:
        assert len(one.commit) == 40 and len(one.sha256) == 64 and one.licence
    with pytest.raises(InputError, match="is missing; `s1lab fetch generations"):
        files.located(tmp_path, entry)
    log(tmp_path, entry.file, {})
    with pytest.raises(InputError, match="is not the file at .*sha256 differs"):
        files.located(tmp_path, entry)
    with pytest.raises(InputError, match="is no tokenizer"):
        counter(tmp_path)
    from s1core.checkpoints import locate

    with pytest.raises(InputError, match="not the tokenizer of Qwen2.5"):
        counter(locate("pocket-s1"))


def test_outcomes_that_were_changed_by_hand_are_refused(tmp_path):
    made = {path.name: path.read_text(encoding="utf-8") for path in COMMITTED.iterdir()}
    assert max(len(row) for text in made.values() for row in text.splitlines()) < 200  # no text
    files.write(made, tmp_path)
    assert files.differences(made, tmp_path) == []
    assert len(files.table("fork", tmp_path)) == 1104
    (tmp_path / "fork.csv").write_text(made["fork.csv"].replace("correct", "wrong", 1))
    assert files.differences(made, tmp_path) == ["fork.csv"]
    with pytest.raises(InputError, match="sha256 differs"):
        files.table("fork", tmp_path)


def test_the_committed_tables_count_every_trace_once_and_agree_with_the_paper():
    """MATH500 under its largest cap: 93.0 in the paper's Table 1, and in the recount."""
    of = tables.recounted(COMMITTED)
    largest = of[(of.benchmark == "MATH500") & (of.amount == 32_000)].accuracy.item()
    assert 100 * largest == accuracy_of("Table 1", "s1-32B", "MATH500").percent
    of = tables.one_wait(COMMITTED)
    assert of.traces.sum() == len(files.table("mgsm", COMMITTED)) == 13_146
    assert (of.readable <= of.traces).all()
    net = (of.mended - of.broken) / of.readable
    assert net.tolist() == pytest.approx(of.gain.tolist())


@pytest.mark.slow
def test_the_committed_outcomes_are_what_the_files_give(data_dir):
    from s1lab.generations.files import recompute

    folder = data_dir / "generations"
    tokenizer = os.environ.get("QWEN_TOKENIZER", "")
    if not folder.is_dir() or not tokenizer:
        pytest.skip("needs the generations, and QWEN_TOKENIZER with Qwen2.5's tokenizer.json")
    assert files.differences(recompute(folder, tokenizer), COMMITTED) == []
