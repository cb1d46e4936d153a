"""Where the generations are, and what was read off them: files, their digests, outcomes on disk.

From a row of somebody's log to an outcome: what was asked, thought, forced, and answered. Four
layouts are read: sample files of the official harness under a cap, files with exactly one forced
Wait, files that note the places of their Waits, and score files. Thinking tokens are counted with
the model's own tokenizer, never taken from text lengths.
"""

import hashlib
import io
import json
import re
import unicodedata
import urllib.request
from collections import namedtuple
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from s1core.checkpoints import explained
from s1core.errors import InputError
from s1core.grading.extraction import last_boxes
from s1core.grading.grades import grade_text
from s1core.records import Problem, question_key, read_jsonl, write_atomically
from s1lab import packaged
from s1lab.data.mirror import sha256
from s1lab.provenance import json_text

HOST = "https://raw.githubusercontent.com"
MANIFEST, AGGREGATES = "manifest.json", "aggregates.json"

Count = Callable[[Sequence[str]], list[int]]
"""Texts to their numbers of tokens."""


# Of one file: its path here, where it is from, how large it is, and under which terms.
Entry = namedtuple("Entry", "file repository commit path bytes rows sha256 licence")


def entries() -> list[Entry]:
    """Every file, in a fixed order."""
    return sorted(Entry(**row) for row in packaged("generations/files.json"))


def located(folder: str | Path, entry: Entry) -> Path:
    """The path of a file in `folder`, whole; InputError where it is missing or another."""
    path = Path(folder) / entry.file
    if not path.is_file():
        raise InputError(f"{path} is missing; `s1lab fetch generations --to FOLDER` brings it")
    if sha256(path) != entry.sha256:
        told = f"{entry.repository}@{entry.commit[:12]} (its sha256 differs)"
        raise InputError(f"{path} is not the file at {told}; remove it and fetch again")
    return path


def fetch(folder: str | Path, say: Callable[[str], None]) -> int:
    """Bring every file that is not there yet; returns how many. Raises InputError: a file cannot be
    had or has another digest; what was brought is kept."""
    brought = 0
    for entry in entries():
        path = Path(folder) / entry.file
        if path.is_file() and sha256(path) == entry.sha256:
            continue
        address = f"{HOST}/{entry.repository}/{entry.commit}/{entry.path}"
        with explained(f"{entry.file} cannot be had from {address}"):
            with urllib.request.urlopen(address, timeout=60) as reply:
                content = reply.read(entry.bytes + 1)
        if hashlib.sha256(content).hexdigest() != entry.sha256:
            raise InputError(f"{address} gave another file than expected (its sha256 differs)")
        write_atomically(path, [content.decode()])
        say(f"{entry.file}: {entry.bytes / 1e6:.1f} MB")
        brought += 1
    return brought


def counter(tokenizer: str | Path) -> Count:
    """Counts tokens with a `tokenizer.json`, or that of a folder. InputError: it is not Qwen's."""
    from tokenizers import Tokenizer

    path = Path(tokenizer)
    path = path / "tokenizer.json" if path.is_dir() else path
    with explained(f"{path} is no tokenizer"):
        loaded = Tokenizer.from_file(str(path))
    if loaded.encode("<|im_start|>think\n").ids != [151644, 26865, 198]:
        raise InputError(f"{path} is not the tokenizer of Qwen2.5, by which s1.1 counts")
    return lambda texts: [
        len(encoding.ids)
        for first in range(0, len(texts), 64)
        for encoding in loaded.encode_batch(texts[first : first + 64], add_special_tokens=False)
    ]


def recompute(
    folder: str | Path, tokenizer: str | Path, say: Callable[[str], None] = lambda line: None
) -> dict[str, str]:
    """Every file of `folder` read again: file name to content, as `results/generations` has it.
    Raises InputError: a file is missing, has another digest, or is not what it should be."""
    count, listed = counter(tokenizer), entries()
    paths = {entry.file: located(folder, entry) for entry in listed}  # all, before any work
    counted = {f: paths.pop(f) for f in [*paths] if f.startswith("governor/")}  # by others
    aggregates = {p.stem: json.loads(p.read_text(encoding="utf-8")) for p in counted.values()}
    tables = []
    for file, path in paths.items():
        tables.append(outcomes(path, file, count))
        say(f"{file}: {len(tables[-1])}")
    made = {
        f"{name}.csv": of.drop(columns="set").to_csv(index=False, lineterminator="\n")
        for name, of in pd.concat(tables).groupby("set", sort=False)
    }
    made[AGGREGATES] = json_text(aggregates)
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in made.items()}
    sources = {f"{e.repository}@{e.commit}": e.licence for e in listed}
    manifest = {"files": digests, "sources": sources, "rows": sum(e.rows for e in listed)}
    return made | {MANIFEST: json_text(manifest)}


def write(made: dict[str, str], folder: str | Path) -> None:
    """Write what `recompute` made; each file all or nothing, the manifest last."""
    for name, text in made.items():
        write_atomically(Path(folder) / name, [text])


def differences(made: dict[str, str], folder: str | Path) -> list[str]:
    """Names of files in `folder` that are missing or not, byte for byte, what was made."""
    paths = {name: Path(folder) / name for name in made}
    kept = {name: path.read_bytes() for name, path in paths.items() if path.is_file()}
    return [name for name, text in made.items() if kept.get(name) != text.encode()]


def table(name: str, folder: str | Path) -> pd.DataFrame:
    """The outcomes of one set. InputError: the file is missing, or its digest is another."""
    path = Path(folder) / f"{name}.csv"
    try:
        manifest = path.with_name(MANIFEST).read_text(encoding="utf-8")
        digest, content = json.loads(manifest)["files"][path.name], path.read_bytes()
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{folder} holds no outcomes of {name} ({error})") from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise InputError(f"{path} is not what was computed (its sha256 differs)")
    return pd.read_csv(io.BytesIO(content), dtype={"condition": str}, keep_default_na=False)


THINK, ANSWER, CUE = "<|im_start|>think", "<|im_start|>answer", "Final Answer:"

WAITS = packaged("generations/waits.json")
"""How the forced Wait begins in each language of the one-Wait files."""

COLUMNS = (
    "set", "model", "condition", "group", "question", "status", "method", "thinking_tokens", "cut",
    "waits", "before", "place",
)  # fmt: skip
"""An outcome: one logged generation without its text.

`set` is the collection ("global_mmlu", "fork", "mgsm", "simpleqa" or "aime24"), `model`
as it names it, `condition` a cap ("500"), a number of Waits, a way of asking or a checkpoint,
`group` a category or language, `question` its `question_key`. `status` is that of the final answer,
`method` how it was found ("": the set has one rule). `thinking_tokens` are the model's own, forced
ones included; `cut`: 1 where the decoder ended the thinking; `waits`: forced ones. `before` is the
status of what was stated before the Wait, `place` how that was found: "line" (its word opens a line
after a single break), "repeated" (several do; the last is taken), "noted" (the file says).
"""

Row = dict[str, Any]
Draft = dict[str, Any]
"""The columns of an outcome that say something, and `text`: the thinking, to be counted."""


def outcomes(path: Path, name: str, count: Count) -> pd.DataFrame:
    """The outcomes of one file; `name` is its path inside the collection, which says the rest.
    Raises InputError: the file is damaged, or its columns are not those of its layout."""
    kind, *parts = name.split("/")
    read = {
        "crosslingual": _one_wait if parts[0] == "mgsm_one_wait" else _harness,
        "tts_knowledge": _noted_waits,
        "skythought_aime24": _scores,
    }[kind]
    try:
        drafts = [read(row, *parts) for row in read_jsonl(path)]
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise InputError(f"{path}: a row lacks {error}; it is not the file it should be") from error
    counted = count([draft.pop("text") for draft in drafts])
    usual = {"group": "", "method": "", "cut": False, "waits": 0, "before": "", "place": ""}
    rows = (usual | {"thinking_tokens": n} | draft for draft, n in zip(drafts, counted))
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"cut": int})


def _graded(problem: Problem, answer: str, kind: str, **options: bool) -> Draft:
    verdict = grade_text(problem, answer, kind, **options)
    key = question_key(problem.question)
    return {"question": key, "status": verdict.status, "method": verdict.method}


def split(text: str) -> tuple[str, str, bool]:
    """A response of the official harness: thinking, answer, and whether thinking was cut. The
    harness forces the cue after the delimiter exactly where it cut. A response without a delimiter
    is all answer where it never thought, and all thinking where it did."""
    thought, closed, answer = text.partition(ANSWER)
    if not thought.startswith(THINK):
        return "", text, False
    cut = answer.startswith(f"\n{CUE}")
    answer = answer.removeprefix(f"\n{CUE}") if cut else answer
    return thought.removeprefix(THINK).removeprefix("\n"), answer if closed else "", cut


def _harness(row: Row, collection: str, model: str, file: str) -> Draft:
    """lm-evaluation-harness samples; the cap is among the arguments of the request."""
    doc = row["doc"]
    limit = row["arguments"]["gen_args_0"]["arg_1"].get("max_tokens_thinking")
    thinking, answer, cut = split(row["resps"][0][0])
    options = {k[-1].upper(): v for k, v in doc.items() if re.fullmatch("option_[a-dA-D]", k)}
    listed = "\n".join(f"{letter}. {words}" for letter, words in sorted(options.items()))
    problem = Problem(f"{doc['question'].strip()}\n{listed}", row["target"])
    draft = _graded(problem, answer, "multiple_choice", after_cue=cut)
    draft |= {"model": "s1.1-32B" if limit else model, "condition": str(limit or "")}
    draft |= {"group": doc.get("subject_category", ""), "cut": cut, "text": thinking}
    return draft | {"set": "fork" if collection == "fork" else "global_mmlu"}


def _one_wait(row: Row, _: str, size: str, way: str, file: str) -> Draft:
    """Files of the README's loop with one translated Wait, then the forced cue, then the answer."""
    language = Path(file).stem
    thinking, answer, cut = _cued(row["output"].rpartition(THINK)[2])
    first, place = _before_wait(thinking, WAITS[language])
    gold, final = float(row["gold_answer"]), stated_number(answer, language)
    earlier = stated_number(first, language, guess=False) if place else None
    verdicts = {None: "", gold: "correct"}
    status = "no_answer" if final is None else verdicts.get(final, "wrong")
    draft = {"set": "mgsm", "model": f"s1.1-{size}", "condition": way, "group": language}
    draft |= {"question": question_key(str(row["prompt"])), "status": status, "cut": cut}
    draft |= {"waits": int(bool(place)), "before": verdicts.get(earlier, "wrong")}
    return draft | {"place": place, "text": thinking}


def _cued(text: str) -> tuple[str, str, bool]:
    """Thinking, answer, and whether thinking was cut. The loop put its cue on a line of its own
    where thinking had ended, and right behind the last token where the cap had cut it."""
    ended = [m.start() for m in re.finditer(rf"(?<!\n)\n{CUE}", text)]
    at = ended[-1] + 1 if ended else text.rfind(CUE)
    return (text[:at], text[at + len(CUE) :], not ended) if at >= 0 else (text, "", True)


def _before_wait(thinking: str, word: str) -> tuple[str, str]:
    """What stands before the forced Wait, and how it was found (see `COLUMNS`)."""
    found = [m.start() for m in re.finditer(rf"(?<!\n)\n{re.escape(word)}", thinking)]
    if not found:
        return "", ""
    return thinking[: found[-1]], "line" if len(found) == 1 else "repeated"


_NUMBER = re.compile(r"-?(?:\d{1,3}(?:[,\u202f\xa0 ]\d{3})+|\d+)(?:\.\d+)?")
_DOTTED = re.compile(r"(?<![\d.])(\d{1,3})((?:\.\d{3})+)(?![\d.])")


def stated_number(text: str, language: str = "en", *, guess: bool = True) -> float | None:
    r"""The number that a text in any script states as its answer: `"... \boxed{1,200}"` is 1200.

    The last box, else the only number of the last paragraph. With `guess`, else the last number of
    all, as this benchmark is usually graded; None where there is none.
    """
    plain = "".join(str(unicodedata.digit(c)) if c.isdecimal() else c for c in text)
    plain = plain.replace("{,}", ",").replace("\\,", "").replace("\\!", "")
    if language in ("de", "es"):  # 1.200 is twelve hundred there
        plain = _DOTTED.sub(lambda m: m[1] + m[2].replace(".", ""), plain)
    boxes = [box for box in last_boxes(plain)[0] if _NUMBER.search(box)]
    paragraphs = [part for part in re.split(r"\n\s*\n", plain) if part.strip()]
    last = _numbers(paragraphs[-1]) if paragraphs else []
    if boxes:
        return _numbers(boxes[-1])[-1]
    if len(set(last)) == 1:
        return last[0]
    every = _numbers(plain) if guess else []
    return every[-1] if every else None


def _numbers(text: str) -> list[float]:
    return [float(re.sub(r"[,\u202f\xa0 ]", "", n)) for n in _NUMBER.findall(text)]


def _noted_waits(row: Row, _: str, file: str) -> Draft:
    """Files that note where each Wait was put, and another model's verdict (A, B or C)."""
    model, _, waits = Path(file).stem.split("_")
    verdicts = {"A": "correct", "B": "wrong", "C": "no_answer"}
    gold, said = (" ".join(str(row[n]).casefold().split()) for n in ("answer", "response"))
    forced = row.get("append_wait_place") or ()
    draft = {"set": "simpleqa", "model": model, "condition": waits.removeprefix("exd"), "text": ""}
    draft |= {"question": question_key(row["problem"]), "status": verdicts[row["grading"]]}
    draft |= {"thinking_tokens": int(row["thinking_tokens"]), "cut": not row["response"]}
    draft |= {"waits": len(forced), "place": "noted" if forced else ""}
    return draft | {"method": f"gold {'' if gold in said else 'not '}in the answer"}


def _scores(row: Row, file: str) -> Draft:
    """Score files with one response per question."""
    problem = Problem(row["question"], str(row["gt"]))
    thinking, closed, answer = row["code"][0].partition("<|end_of_thought|>")
    graded = _graded(problem, answer, "aime", cut_off=not closed)
    stored = "stored correct" if row["score"][0] is True else "stored wrong"
    step, method = Path(file).stem.removeprefix("checkpoint-"), f"{graded['method']}; {stored}"
    graded |= {"set": "aime24", "model": "Sky-T1 32B run", "condition": step, "method": method}
    return graded | {"cut": not closed, "text": thinking}
