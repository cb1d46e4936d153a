"""Domains: one of the subjects of the Mathematics Subject Classification for each question.

Section 2.2 (Diversity) has Claude choose a two-digit code from the classification's 61 upper-level
subjects, extended to other sciences; 50 or 51 of them occur in the pool (the paper says both). That
is `classify`. Without a key, `offline.NaiveBayes` is trained on labels at hand instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from s1core.errors import InputError

from s1core.records import Problem
from s1lab.annotation.batch import Question, Usage, annotate
from s1lab.annotation.chat import ChatConfig, ChatReply
from s1lab.data.mirror import read_rows

PROMPT = (
    "You classify questions into subjects. You are given a question and a list of subjects, each "
    "with a two-digit code. Choose the one subject that is most relevant to the question. Explain "
    "your reasoning, and end your response on a new line with only the two-digit code."
)


@dataclass(frozen=True, slots=True)
class Subject:
    """A subject of the classification: `Subject("05", "Combinatorics", ("Graph theory", …))`."""

    code: str
    title: str
    topics: tuple[str, ...]

    @property
    def rubric(self) -> str:
        """How the subject is shown to the model."""
        return f"### {self.title}\n* Code: {self.code}\n* Description: {'; '.join(self.topics)}"


@dataclass(frozen=True, slots=True)
class Classified:
    """Domain titles by problem key; why others have none."""

    domains: dict[str, str]
    errors: dict[str, str]
    usage: Usage


def read_taxonomy(path: str | Path) -> dict[str, Subject]:
    """Subjects by code from a JSONL file with `code`, `title` and `descriptions`.

    The official one is `s1k/msc_domains.jsonl` of a data mirror (`data/msc.json` of s1).

    Raises:
        InputError: the file cannot be read, lacks a column or is empty.
    """
    subjects: dict[str, Subject] = {}
    for number, row in enumerate(read_rows(path), start=1):
        try:
            topics = tuple(topic.strip() for topic in row["descriptions"])
            subjects[row["code"]] = Subject(row["code"], row["title"], topics)
        except (KeyError, AttributeError, TypeError) as error:
            raise InputError(f"{path}, row {number}: not a subject ({error!r})") from error
    if not subjects:
        raise InputError(f"{path} lists no subject")
    return subjects


def questions(problems: Sequence[Problem], taxonomy: Mapping[str, Subject]) -> list[Question]:
    """The conversations: the question, then all subjects."""
    rubrics = "\n\n".join(subject.rubric for subject in taxonomy.values())
    return [
        Question(
            p.key,
            (
                ("system", PROMPT),
                ("user", f"## Question\n{p.question}\n\n## Subjects\n{rubrics}"),
            ),
        )
        for p in problems
    ]


def classify(
    problems: Sequence[Problem],
    taxonomy: Mapping[str, Subject],
    config: ChatConfig,
    path: str | Path,
    on_progress: Callable[[Usage], None] | None = None,
) -> Classified:
    """Ask for the subject of each problem; resumable at `path`. Domains are the subjects' titles.

    Raises:
        BackendError, BackendError: as for `batch.annotate`.
    """

    def parse(reply: ChatReply) -> str:
        return parse_code(reply, taxonomy)

    answers, usage = annotate(questions(problems, taxonomy), config, path, parse, on_progress)
    domains = {a.key: taxonomy[a.value].title for a in answers if a.ok}
    return Classified(domains, {a.key: a.error for a in answers if not a.ok}, usage)


def parse_code(reply: ChatReply, taxonomy: Mapping[str, Subject]) -> str:
    """The code on the last line.

    Raises:
        ValueError: the last line does not end in a code of the taxonomy.
    """
    code = reply.content.strip().strip("*` .")[-2:]
    if code not in taxonomy:
        raise ValueError(f"it ends in {code!r}, which is no code of the taxonomy")
    return code
