"""Domains: one of the subjects of the Mathematics Subject Classification for each question.

Section 2.2 (Diversity) has Claude choose from the classification's 61 upper-level subjects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from s1core.errors import InputError
from s1core.records import Problem
from s1lab.annotation.batch import Outcome, Question, annotate
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


def read_taxonomy(path: str | Path) -> dict[str, Subject]:
    """Subjects by code from a JSONL file; InputError names the row that is none.

    The official one is `s1k/msc_domains.jsonl` of a data mirror (`data/msc.json` of s1).
    """
    subjects: dict[str, Subject] = {}
    for number, row in enumerate(read_rows(path), start=1):
        code, title, topics = row.get("code"), row.get("title"), row.get("descriptions")
        texts = [code, title, *(topics if isinstance(topics, list) else [None])]
        if not all(isinstance(text, str) for text in texts) or len(code) != 2 or code in subjects:
            needs = "a code of two digits of its own, a title and descriptions"
            raise InputError(f"{path}, row {number}: not a subject, which has {needs}")
        subjects[code] = Subject(code, title, tuple(topic.strip() for topic in topics))
    if not subjects:
        raise InputError(f"{path} lists no subject")
    return subjects


def questions(problems: Sequence[Problem], taxonomy: Mapping[str, Subject]) -> list[Question]:
    """The conversations: the question, then all subjects."""
    rubrics = "\n\n".join(subject.rubric for subject in taxonomy.values())
    shown = "## Question\n{}\n\n## Subjects\n{}"
    return [
        Question(p.key, (("system", PROMPT), ("user", shown.format(p.question, rubrics))))
        for p in problems
    ]


def classify(
    problems: Sequence[Problem],
    taxonomy: Mapping[str, Subject],
    config: ChatConfig,
    path: str | Path,
) -> Outcome:
    """Ask for the subject of each problem; resumable at `path`. The values are subjects' titles.

    Raises as `batch.annotate` does.
    """

    def parse(reply: ChatReply) -> str:
        return parse_code(reply, taxonomy)

    done = annotate(questions(problems, taxonomy), config, path, parse, list(taxonomy).__contains__)
    return replace(done, values={key: taxonomy[code].title for key, code in done.values.items()})


def parse_code(reply: ChatReply, taxonomy: Mapping[str, Subject]) -> str:
    """The code at the end of the last line; ValueError where it is none of the taxonomy."""
    code = reply.content.strip().strip("*` .")[-2:]
    if code not in taxonomy:
        raise ValueError(f"it ends in {code!r}, which is no code of the taxonomy")
    return code
