"""Data sets as a specification: the registry, row mappings, the mirror and its error messages."""

import json
import re
from collections import Counter

import pytest

from s1core.errors import InputError
from s1core.records import Problem, question_key, write_jsonl
from s1core.selection import BenchmarkIndex, jaccard
from s1lab.analysis.training import load_audit
from s1lab.data.load import examples, problems
from s1lab.data.mirror import Mirror, damaged, read_rows, sha256
from s1lab.data.sources import POOL, SOURCES, source
from tests.helpers import cases, rows


@pytest.fixture
def mirror_of(tmp_path):
    """Write rows into the files of a new mirror, and its manifest; returns the root."""

    def build(**files: list):
        entries = []
        for name, held in files.items():
            folder, _, file = name.replace("__", "/").replace("_jsonl", ".jsonl").rpartition("/")
            path = tmp_path / folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            write_jsonl(path, held)
            row = {"dir": folder, "file": file, "rows": len(held), "sha256": sha256(path)}
            entries.append(row)
        (tmp_path / "MANIFEST.json").write_text(json.dumps(entries))
        return tmp_path

    return build


TABLES = cases("data")


def test_the_registry_says_where_everything_is_and_guesses_nothing():
    assert len(POOL) == 16 and sum(entry.rows for entry in POOL) == 59_029
    for entry in SOURCES.values():
        assert re.fullmatch("([0-9a-f]{40})?", entry.revision), entry.name
        assert entry.gated is (entry.hub_id == "Idavidrein/gpqa")
        assert not (entry.gated and entry.mirror)
    with pytest.raises(InputError, match="'aime': choose one of .*AIME24"):
        source("aime")
    assert source("gpqa-diamond") is source("GPQA Diamond")
    assert source("s1k_1.1") is source("s1K-1.1") is not source("s1K")


def test_recorded_sources_are_counted_under_their_row_of_table_7(data_dir):
    run = read_rows(data_dir / "s1k" / "s1k_questions_from_filter_notebook.jsonl")
    names = {entry.name for entry in POOL}
    assert {table7_name(row["source_type"]) for row in run} <= names
    assert table7_name("qfq/openaimath/Algebra") == "MATH"
    assert table7_name("nowhere") == "nowhere"


@pytest.mark.parametrize("case", rows("source_rows.jsonl"), ids=lambda case: case["source"])
def test_rows_become_the_questions_that_s1_records_or_are_refused_with_their_number(
    mirror_of, case
):
    name, row = case["source"], case["row"]
    if case["problem"] != "refused":
        made = source(name).convert(row)
        assert made == (Problem(*case["problem"]) if case["problem"] else None)
        return
    root = mirror_of(x_jsonl=[row])
    manifest = json.loads((root / "MANIFEST.json").read_text())
    (root / "MANIFEST.json").write_text(json.dumps([manifest[0] | {"source": name}]))
    with pytest.raises(InputError, match=f"{name}, row 1: |x.jsonl:1: "):
        problems(name, root)


def test_gpqa_choices_have_one_order_and_the_letter_follows_it():
    row = {"Question": "Which?", "Correct Answer": "right\n", "Explanation": "Because."}
    row |= {f"Incorrect Answer {i}": f"wrong {i}" for i in (1, 2, 3)}
    made = source("GPQA").convert(row)
    assert made == source("GPQA").convert(dict(reversed(row.items())))
    assert f"({made.answer}) right" in made.question
    assert made.solution == f"Because.\n\nAnswer: {made.answer}"


def test_released_rows_become_examples_with_the_trace_they_are_known_for():
    row = {"question": "q", "solution": r"\boxed{3}", "source_type": "x", "attempt": "a"}
    old = source("s1K").convert(row | {"thinking_trajectories": ["t"]})
    assert (old.problem.answer, old.trace.thinking, old.trace.attempt) == ("3", "t", "a")
    again = {"deepseek_thinking_trajectory": "d", "deepseek_attempt": "b"}
    new = source("s1K").convert(row | again)
    assert (new.trace.thinking, new.trace.model) == ("d", "deepseek-r1")


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


ROW = {"problem": "p", "answer": "1"}
ZEROS, OUTSIDE = "0" * 64, TABLES["outside"]
CHANGES = [(says, row) for says, of in TABLES["changes"].items() for row in of]
CHANGES += [("is no path inside|symbolic link", {"dir": "", "file": name}) for name in OUTSIDE]
CHANGES += [("is no path inside|symbolic", {"dir": name, "file": "x"}) for name in OUTSIDE[:3]]
SHAPES = ["", "{", "[1]", "null", '{"a": 1}', "[{}]", "[" * 10**5, "\ud800"]
SUMS = ["", "\n", ZEROS, f"{ZEROS[1:]}  a", "a  b", f"{ZEROS} a"]
SUMS += [f"{ZEROS}  {name}" for name in OUTSIDE]


@pytest.mark.parametrize("says, change", [*CHANGES, *(("is not", text) for text in SHAPES)])
def test_a_manifest_names_files_of_the_mirror_as_they_are(mirror_of, says, change):
    root = mirror_of(math500__math500_jsonl=[ROW])
    (root / "link").symlink_to("/etc/hostname")
    (row,) = json.loads((root / "MANIFEST.json").read_text())
    text = change if isinstance(change, str) else json.dumps([row | change])
    (root / "MANIFEST.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(InputError, match=says):
        problems("MATH500", root)


@pytest.mark.parametrize("sums", SUMS)
def test_checksums_name_files_of_their_folder_and_nothing_outside_is_touched(tmp_path, sums):
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "victim").write_text("kept")
    (folder / "link").symlink_to(tmp_path / "victim")
    (folder / "SHA256SUMS").write_text(sums)
    with pytest.raises(InputError, match="SHA256SUMS (is torn|lists no)|no path inside|symbolic"):
        damaged(folder)
    assert (tmp_path / "victim").read_text() == "kept"


def test_what_a_mirror_lacks_is_said_plainly(mirror_of, tmp_path, monkeypatch):
    monkeypatch.setenv("S1CORE_DATA_DIR", str(mirror_of(math500__math500_jsonl=[ROW])))
    assert problems("math500") == [Problem("p", "1", "", "MATH500/")]
    with pytest.raises(InputError, match="is not a data mirror: it has no MANIFEST.json"):
        Mirror.open(tmp_path / "nowhere")
    root = mirror_of(x_jsonl=[{}])
    with pytest.raises(InputError, match="s1K is not part of the mirror's layout"):
        problems("s1K", root)
    (root / "x.jsonl").unlink()
    with pytest.raises(InputError, match="in the manifest but not on disk"):
        Mirror.open(root).path("x.jsonl")
    with pytest.raises(InputError, match="MATH500 has questions but no traces"):
        examples("MATH500")


@pytest.mark.filterwarnings("ignore:GPQA Diamond. no verified revision is pinned")
def test_what_the_hub_refuses_is_one_sentence_that_says_what_to_do(monkeypatch):
    monkeypatch.delenv("S1CORE_DATA_DIR", raising=False)
    datasets = pytest.importorskip("datasets")
    import huggingface_hub

    class Info:
        sha = "0" * 40

    def refuse(*args, **kwargs):
        raise error

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", lambda *a, **k: Info)
    monkeypatch.setattr(datasets, "load_dataset", refuse)
    error = ConnectionError("Couldn't reach the Hub\nlong trace")
    with pytest.raises(InputError, match="s1K cannot be read .*Hub .*; without a network, give a"):
        problems("s1K")
    error = datasets.exceptions.DatasetNotFoundError("gated")
    with pytest.raises(InputError, match="GPQA Diamond is gated: accept its terms .*HF_TOKEN"):
        problems("GPQA Diamond")


def test_benchmarks_of_the_mirror_have_the_rows_they_should(data_dir):
    for entry in SOURCES.values():
        if entry.kind == "benchmark" and entry.mirror:
            loaded = problems(entry.name, data_dir)
            assert len({p.key for p in loaded}) == len(loaded) == entry.rows
            assert all(p.answer for p in loaded)


def table7_name(source_type):
    """The row of Table 7 that a recorded source belongs to, or else the source itself."""
    found = (entry.name for entry in POOL if source_type.startswith(entry.source_types))
    return next(found, source_type)


def test_mapped_questions_have_the_keys_that_s1_recorded(data_dir):
    run = read_rows(data_dir / "s1k" / "s1k_questions_from_filter_notebook.jsonl")
    recorded = {row["question_hash"]: row["source_type"] for row in run}
    for name, count in (("TheoremQA", 24), ("AGIEval", 2)):
        ours = {p.key: p.source for p in problems(name, data_dir)}
        theirs = {k: s for k, s in recorded.items() if table7_name(s) == name}
        assert theirs.items() <= ours.items() and len(theirs) == count
    assert len(problems("TheoremQA", data_dir)) == source("TheoremQA").rows


def shingles(question):
    """Runs of three words: letters and digits, lower case."""
    words = re.findall(r"[^\W_]+", question.lower())
    return {" ".join(words[i : i + 3]) for i in range(max(len(words) - 2, 1))} - {""}


def near(pool, benchmarks):
    """Questions that share half of their runs with a benchmark's, the most alike first."""
    listed = [(name, question_key(q), shingles(q)) for name, of in benchmarks.items() for q in of]
    for problem in pool:
        own = shingles(problem.question)
        alike = [len(own & there) / (len(own | there) or 1) for *_, there in listed]
        if max(alike) >= 0.5:
            name, key, _ = listed[alike.index(max(alike))]
            row = {"key": problem.key, "benchmark": name, "benchmark_key": key}
            yield row | {"similarity": max(alike)}


def overlaps(pool, name, listed):
    index = BenchmarkIndex({name: listed})
    found = [(p, overlap[1]) for p in pool if (overlap := index.overlap(p.question))]
    grams = Counter(gram for _, gram in found).most_common(3)
    kinds = by_source(p.source for p, _ in found)
    return {"questions": len(found), "by_source": kinds, "most_common": [*map(list, grams)]}


def by_source(kinds):
    return dict(Counter(table7_name(k) if k else "not recorded" for k in kinds).most_common())


def test_the_audit_that_ships_is_what_the_files_say(data_dir):
    asked = {name: problems(name, data_dir) for name in ("MATH500", "AIME24")}
    benchmarks, made, keys = {n: [p.question for p in of] for n, of in asked.items()}, {}, []
    for name, known in (("published", "s1K questions"), ("notebook", "notebook questions")):
        pool = problems(known, data_dir)
        listed = list(Mirror.open(data_dir).rows(source(known).mirror[0]))
        kinds = (row.get("source_type") or row.get("source_type_if_in_notebook") for row in listed)
        keys.append({row["question_hash"] for row in listed})
        made[name] = {
            "rows": len(listed),
            "with_text": len(pool),
            "by_source": by_source(kinds),
            "crosswords": sum(p.question.startswith("Solve the crossword") for p in pool),
            "shared_8_grams": {b: overlaps(pool, b, of) for b, of in benchmarks.items()},
            "near_duplicates": sorted(
                near(pool, benchmarks), key=lambda row: (-row["similarity"], row["key"])
            ),
        }
    made |= {"shared_by_both": len(keys[0] & keys[1]), "jaccard": round(jaccard(*keys), 4)}
    assert made == load_audit()
    # Two questions of MATH500 are in the published s1K to the letter.
    identical = [n for n in made["published"]["near_duplicates"] if n["key"] == n["benchmark_key"]]
    assert len(identical) == 2
    assert made["published"]["crosswords"] == 15
