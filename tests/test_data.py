"""Data sets as a specification: the registry, row mappings, the mirror and its error messages."""

from __future__ import annotations

import json
import re

import pytest

from s1core.errors import InputError
from s1core.records import Example, Problem
from s1lab.data import rows as mapping
from s1lab.data.audit import audit, load_audit
from s1lab.data.load import benchmark_questions, examples, problems
from s1lab.data.mirror import Mirror, read_rows, sha256
from s1lab.data.sources import POOL, SOURCES, source, table7_name


@pytest.fixture
def mirror_of(tmp_path):
    """Write files into a new mirror and its manifest; returns the root."""

    def build(**files: bytes | list):
        entries = []
        for name, content in files.items():
            name = (
                name.replace("__", "/").replace("_jsonl", ".jsonl").replace("_parquet", ".parquet")
            )
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            count = content.count(b"\n") if isinstance(content, bytes) else len(content)
            if isinstance(content, list):
                content = "".join(json.dumps(row) + "\n" for row in content).encode()
            path.write_bytes(content)
            folder, _, file = name.rpartition("/")
            entries.append({"dir": folder, "file": file, "rows": count, "sha256": sha256(path)})
        (tmp_path / "MANIFEST.json").write_text(json.dumps(entries))
        return tmp_path

    return build


# ------------------------------------------------------------------------------ registry


def test_the_sixteen_sources_add_up_to_the_papers_pool():
    assert len(POOL) == 16
    assert sum(entry.rows for entry in POOL) == 59_029


def test_revisions_are_full_commits_or_openly_missing():
    for entry in SOURCES.values():
        if entry.revision:
            assert re.fullmatch("[0-9a-f]{40}", entry.revision), entry.name
        elif entry.hub_id:
            assert "no full commit could be verified" in entry.note, entry.name


def test_only_gpqa_is_gated_and_neither_part_is_in_a_mirror():
    gated = [entry for entry in SOURCES.values() if entry.gated]
    assert {entry.hub_id for entry in gated} == {"Idavidrein/gpqa"}
    assert not any(entry.mirror for entry in gated)


def test_recorded_sources_are_counted_under_their_row_of_table_7(data_dir):
    run = read_rows(data_dir / "s1k" / "s1k_questions_from_filter_notebook.jsonl")
    names = {entry.name for entry in POOL}
    assert {table7_name(row["source_type"]) for row in run} <= names
    assert table7_name("qfq/openaimath/Algebra") == "MATH"
    assert table7_name("nowhere") == "nowhere"


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(InputError, match="'aime': choose one of .*AIME24"):
        source("aime")
    assert source("gpqa-diamond") is source("GPQA Diamond")
    assert source("s1k_1.1") is source("s1K-1.1") is not source("s1K")


def test_the_mirror_can_be_named_in_the_environment(mirror_of, monkeypatch):
    root = mirror_of(math500__math500_jsonl=[{"problem": "p", "answer": "1"}])
    monkeypatch.setenv("S1CORE_DATA_DIR", str(root))
    assert problems("math500") == [Problem("p", "1", "", "MATH500/")]


# ------------------------------------------------------------------------------ mappings


def test_rows_that_the_pool_leaves_out_are_none():
    assert mapping.numinamath({"source": "cn_k12", "problem": "q", "solution": "s"}) is None
    assert mapping.aime_1983_2021({"Year": 2022, "Question": "q", "Answer": 1}) is None
    assert mapping.livecodebench({"difficulty": "easy", "question_content": "q"}) is None
    assert mapping.scieval({"answer": None}) is None
    picture = {"Picture": {}, "Question": "q", "Answer": 1, "Answer_type": "integer"}
    assert mapping.theoremqa(picture) is None
    french = {"language": "FR", "modality": "text-only"}
    assert mapping.olympicarena(french) is None


def test_mappings_record_the_source_as_s1_does():
    aops = {"source": "aops_forum", "problem": "q", "solution": r"so \boxed{7}"}
    assert mapping.numinamath(aops) == Problem(
        "q", "7", r"so \boxed{7}", "AI-MO/NuminaMath-CoT/aops_forum"
    )
    row = {"Question": "q", "Answer": True, "Answer_type": "bool", "Picture": None}
    assert mapping.theoremqa(row) == Problem("q", "True", "True", "TIGER-Lab/TheoremQA/bool")
    clue = {"input": "### Clue: Odd fish (4)", "output": "CARP"}
    assert mapping.xword(clue).question.endswith("in brackets.\n\nOdd fish (4)")
    chem = {
        "question": "Given:\nOptimal ligand:\n\nAnswer:", "answer": ["A"], "category": "chemistry",
        "type": "filling", "task_name": "reagent selection",
    }  # fmt: skip
    assert mapping.scieval(chem) == Problem(
        "Given:\nWhat is the optimal ligand?", "A", "A",
        "OpenDFM/SciEval/chemistry/filling/reagent selection",
    )  # fmt: skip


def test_gpqa_choices_have_one_order_and_the_letter_follows_it():
    row = {"Question": "Which?", "Correct Answer": "right\n", "Explanation": "Because."}
    row |= {f"Incorrect Answer {i}": f"wrong {i}" for i in (1, 2, 3)}
    made = mapping.gpqa(row)
    assert made == mapping.gpqa(dict(reversed(row.items())))
    assert f"({made.answer}) right" in made.question
    assert made.solution == f"Because.\n\nAnswer: {made.answer}"


def test_released_rows_become_examples_with_the_trace_they_are_known_for():
    row = {"question": "q", "solution": r"\boxed{3}", "source_type": "x", "attempt": "a"}
    old = mapping.released(row | {"thinking_trajectories": ["t"]})
    assert (old.problem.answer, old.trace.thinking, old.trace.attempt) == ("3", "t", "a")
    new = mapping.released(row | {"deepseek_thinking_trajectory": "d", "deepseek_attempt": "b"})
    assert (new.trace.thinking, new.trace.model) == ("d", "deepseek-r1")
    assert isinstance(old, Example)


def test_a_missing_column_is_named_with_those_that_are_there(mirror_of):
    root = mirror_of(math500__math500_jsonl=[{"problem": "p", "answer": "1"}, {"question": "p"}])
    with pytest.raises(InputError, match="MATH500, row 2: no column 'problem'; there are question"):
        problems("MATH500", root)


# -------------------------------------------------------------------------------- mirror


def test_a_parquet_file_gives_the_same_rows_as_jsonl(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet as parquet

    kept = [{"problem": f"p{i}", "answer": str(i), "parts": ["é", None]} for i in range(3000)]
    parquet.write_table(pyarrow.Table.from_pylist(kept), tmp_path / "a.parquet")
    assert list(read_rows(tmp_path / "a.parquet")) == kept
    whole = (tmp_path / "a.parquet").read_bytes()
    for cut in (0, 3, len(whole) // 2, len(whole) - 1):
        (tmp_path / "b.parquet").write_bytes(whole[:cut])
        with pytest.raises(InputError, match="b.parquet is truncated or not a Parquet file"):
            list(read_rows(tmp_path / "b.parquet"))


def test_bytes_that_are_not_utf_8_are_reported_with_their_line(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'{"q": "ok"}\n{"q": "\xff"}\n')
    with pytest.raises(InputError, match=r"a.jsonl:2: not UTF-8"):
        list(read_rows(tmp_path / "a.jsonl"))
    with pytest.raises(InputError, match="neither .jsonl nor .parquet"):
        list(read_rows(tmp_path / "a.csv"))


def test_an_edited_file_never_passes_for_the_data_set(mirror_of):
    root = mirror_of(math500__math500_jsonl=[{"problem": "p", "answer": "1"}])
    (root / "math500" / "math500.jsonl").write_text('{"problem": "p", "answer": "2"}\n')
    with pytest.raises(InputError, match="the copy is damaged or was edited"):
        problems("MATH500", root)


def test_a_manifest_that_counts_other_rows_is_an_error(mirror_of):
    root = mirror_of(math500__math500_jsonl=[{"problem": "p", "answer": "1"}])
    manifest = json.loads((root / "MANIFEST.json").read_text())
    manifest[0]["rows"] = 2
    (root / "MANIFEST.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="has 1 rows, the manifest says 2"):
        problems("MATH500", root)


def test_what_a_mirror_lacks_is_said_plainly(mirror_of, tmp_path):
    with pytest.raises(InputError, match="is not a data mirror: it has no MANIFEST.json"):
        Mirror.open(tmp_path / "nowhere")
    root = mirror_of(x_jsonl=[{}])
    with pytest.raises(InputError, match="lists no math500/math500.jsonl"):
        problems("MATH500", root)
    with pytest.raises(InputError, match="s1K is not part of the mirror's layout"):
        problems("s1K", root)
    (root / "x.jsonl").unlink()
    with pytest.raises(InputError, match="in the manifest but not on disk"):
        Mirror.open(root).path("x.jsonl")
    (root / "MANIFEST.json").write_text('{"a": 1}')
    with pytest.raises(InputError, match="is not a manifest"):
        Mirror.open(root)


def test_questions_without_traces_are_not_examples():
    with pytest.raises(InputError, match="MATH500 has questions but no traces"):
        examples("MATH500")


def test_no_network_is_one_sentence_that_says_what_to_do(monkeypatch):
    monkeypatch.delenv("S1CORE_DATA_DIR", raising=False)
    datasets = pytest.importorskip("datasets")

    def unreachable(*args, **kwargs):
        raise ConnectionError("Couldn't reach the Hub\nlong trace")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    with pytest.raises(
        InputError, match="s1K cannot be read .*Hub; without a network, give a local"
    ):
        problems("s1K")


def test_gated_data_asks_for_the_users_own_token(monkeypatch):
    monkeypatch.delenv("S1CORE_DATA_DIR", raising=False)
    datasets = pytest.importorskip("datasets")
    import huggingface_hub

    class Info:
        sha = "0" * 40

    def gated(*args, **kwargs):
        raise datasets.exceptions.DatasetNotFoundError("gated")

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", lambda *a, **k: Info)
    monkeypatch.setattr(datasets, "load_dataset", gated)
    with pytest.warns(UserWarning, match="no verified revision is pinned; reading main"):
        with pytest.raises(InputError, match="GPQA Diamond is gated: accept its terms .*HF_TOKEN"):
            problems("GPQA Diamond")


# ---------------------------------------------------------------------------- real files


def test_benchmarks_of_the_mirror_have_the_rows_they_should(data_dir):
    for entry in BENCHMARKS:
        if entry.mirror:
            loaded = problems(entry.name, data_dir)
            assert len({p.key for p in loaded}) == len(loaded) == entry.rows
            assert all(p.answer for p in loaded)
    assert {k: len(v) for k, v in benchmark_questions(data_dir=data_dir).items()} == {
        "MATH500": 500, "AIME24": 30,
    }  # fmt: skip


def test_mapped_questions_have_the_keys_that_s1_recorded(data_dir):
    run = read_rows(data_dir / "s1k" / "s1k_questions_from_filter_notebook.jsonl")
    recorded = {row["question_hash"]: row["source_type"] for row in run}
    for name, count in (("TheoremQA", 24), ("AGIEval", 2)):
        ours = {p.key: p.source for p in problems(name, data_dir)}
        theirs = {k: s for k, s in recorded.items() if table7_name(s) == name}
        assert theirs.items() <= ours.items() and len(theirs) == count
    assert len(problems("TheoremQA", data_dir)) == source("TheoremQA").rows


def test_published_questions_keep_their_keys(data_dir):
    recorded = {
        row["question_hash"]
        for row in read_rows(data_dir / "s1k" / "s1k_published_problem_solution.jsonl")
        if not row["withheld_gpqa"]
    }
    assert {p.key for p in problems("s1K questions", data_dir)} == recorded
    assert len(problems("notebook questions", data_dir)) == 893


def test_the_audit_that_ships_is_what_the_files_say(data_dir):
    made = audit(data_dir)
    assert made == load_audit()
    # Two questions of MATH500 are in the published s1K to the letter.
    identical = [n for n in made["published"]["near_duplicates"] if n["key"] == n["benchmark_key"]]
    assert len(identical) == 2
    assert made["published"]["crosswords"] == 15
