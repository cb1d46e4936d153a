"""The data sets of the paper: 16 pool sources (Table 7), benchmarks, and what was released.

Every entry says where it is on the Hub, at which revision, under which licence, and how many rows
to expect. A revision is a full commit that was seen on a public page of that repository; where
none could be seen it is "" and `note` says so: such a source is read from `main` and the commit
found there is reported. Nothing here is guessed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from s1core.records import Example, Problem
from s1lab.data import rows

Kind = Literal["pool", "benchmark", "release", "questions"]

_NO_REVISION = "no full commit could be verified: main is read, and its commit reported"


@dataclass(frozen=True, slots=True)
class Source:
    """A data set, where it comes from and how its rows become problems.

    Attributes:
        name: the name in the paper (Table 7 for the pool).
        hub_id: repository on the Hub.
        convert: row -> `Problem`, `Example` (releases), or None for a row that is left out.
        kind: "pool", "benchmark", "release" (with traces) or "questions" (a release without).
        rows: rows after `convert`: in the pool (Table 7, decontaminated and deduplicated) or in
            the benchmark. The Hub may hold more.
        revision: full commit to read; "" when none could be verified.
        main_seen: short commit that `main` had when its page was last seen; "" when not seen.
        licence: as stated on the data set's page; "" when none is stated there.
        configs: configurations, all read; () for the default one.
        splits: splits, all read, in this order.
        files: files to read from the repository instead of its configurations.
        mirror: files of a local mirror (`--data-dir`) that hold it, relative to its root.
        source_types: prefixes of `source_type` that s1 recorded for it.
        gated: the Hub asks for an account that accepted terms, and the text must not be spread.
        note: what else a reader of the numbers should know.
    """

    name: str
    hub_id: str
    convert: Callable[[rows.Row], Problem | Example | None]
    kind: Kind
    rows: int
    revision: str = ""
    main_seen: str = ""
    licence: str = ""
    configs: tuple[str, ...] = ()
    splits: tuple[str, ...] = ("train",)
    files: tuple[str, ...] = ()
    mirror: tuple[str, ...] = ()
    source_types: tuple[str, ...] = ()
    gated: bool = False
    note: str = ""


def _pool(name: str, hub_id: str, convert: rows.ToProblem, count: int, **more: Any) -> Source:
    more.setdefault("source_types", (hub_id,))
    return Source(name, hub_id, convert, "pool", count, **more)


POOL: tuple[Source, ...] = (
    _pool(
        "NuminaMATH", "AI-MO/NuminaMath-CoT", rows.numinamath, 30_660,
        revision="d5fb806061f3392fb8fddde7d45e18dfac409855", licence="apache-2.0",
        note="all of aops_forum is read; the pool has about 500 more, listed in numinamath_500",
    ),
    _pool(
        "MATH", "simplescaling/openaimath", rows.openaimath, 11_999,
        main_seen="e8ea352", licence="apache-2.0", note=_NO_REVISION,
        source_types=("qfq/openaimath", "simplescaling/openaimath"),
    ),
    _pool(
        "OlympicArena", "GAIR/OlympicArena", rows.olympicarena, 4_250,
        revision="001189f4e78bbdbe436770a2763a4283c6224709", licence="cc-by-nc-sa-4.0",
        configs=("Math", "Physics", "Chemistry", "Biology", "Geography", "Astronomy", "CS"),
        splits=("test", "val"),
    ),
    _pool(
        "OmniMath", "KbsdJames/Omni-MATH", rows.omnimath, 4_238,
        revision="0000b6bc8be4aa61655413073c3645ae4b3b30e8", licence="apache-2.0",
        splits=("test",),
    ),
    _pool(
        "AGIEval", "baber/agieval", rows.agieval, 2_385, licence="mit", note=_NO_REVISION,
        configs=(
            "sat_en", "sat_math", "lsat_ar", "lsat_lr", "lsat_rc", "logiqa", "aqua_rat",
            "math_agieval",
        ),
        splits=("test", "few_shot"),
        mirror=tuple(
            f"agieval/{part}.jsonl"
            for part in (
                "sat-en", "sat-math", "lsat-ar", "lsat-lr", "lsat-rc", "logiqa-en", "aqua-rat",
                "math",
            )
        ),
    ),
    _pool(
        "xword", "0xharib/xword1", rows.xword, 999,
        revision="b95fd18d7ffa8153bac6cf034782bb4f00bffd3d", licence="cc-by-4.0",
        note="a random 1,000 of its rows entered the pool",
    ),
    _pool(
        "OlympiadBench", "Hothan/OlympiadBench", rows.olympiadbench, 896,
        revision="3b426ee1d587c71b495146dde9f3e995ee7ac59f", licence="apache-2.0",
        configs=(
            "OE_TO_maths_en_COMP", "OE_TO_physics_en_COMP", "TP_TO_maths_en_COMP",
            "TP_TO_physics_en_COMP",
        ),
    ),
    _pool(
        "AIME 1983-2021", "di-zhang-fdu/AIME_1983_2024", rows.aime_1983_2021, 890,
        main_seen="3e2cc86", licence="mit",
        source_types=("qq8933/AIME_1983_2024", "di-zhang-fdu/AIME_1983_2024"),
        note=f"renamed since (was qq8933/AIME_1983_2024); {_NO_REVISION}",
    ),
    _pool(
        "TheoremQA", "TIGER-Lab/TheoremQA", rows.theoremqa, 747,
        revision="a340b1782960a712843aae3ed25f1e013cc008a5", licence="mit", splits=("test",),
        mirror=("theoremqa/theoremqa_test.jsonl",),
    ),
    _pool(
        "USACO", "codegenning/usacobench_formatted", rows.usaco, 519, splits=("test",),
        note=_NO_REVISION,
    ),
    _pool(
        "JEEBench", "daman1209arora/jeebench", rows.jeebench, 515, splits=("test",),
        note=_NO_REVISION,
    ),
    _pool(
        "GPQA", "Idavidrein/gpqa", rows.gpqa, 348, licence="cc-by-4.0",
        configs=("gpqa_extended",), gated=True,
        note=f"the pool leaves out the questions of GPQA Diamond; {_NO_REVISION}",
    ),
    _pool(
        "SciEval", "OpenDFM/SciEval", rows.scieval, 227,
        revision="370117e4ee95dd8553f6a053ee00a4932429fe5f", splits=("test", "validation"),
        note="about 250 of its rows, spread over four tasks, entered the pool",
    ),
    _pool(
        "s1-prob", "simplescaling/s1-prob", rows.s1_prob, 182, note=_NO_REVISION,
        source_types=("qfq/stats_qual", "simplescaling/s1-prob"),
    ),
    _pool(
        "LiveCodeBench", "livecodebench/code_generation_lite", rows.livecodebench, 151,
        revision="bb681520862a504f06d7df6ed50d0b39bde4248b", licence="cc",
        files=("test.jsonl", "test2.jsonl", "test3.jsonl"),
        source_types=("LiveCodeBench", "livecodebench/"),
        note="releases 1 to 3; the files are read directly, since the Hub no longer runs scripts",
    ),
    _pool(
        "s1-teasers", "simplescaling/s1-teasers", rows.s1_teasers, 23,
        main_seen="6c35a2b", licence="apache-2.0", note=_NO_REVISION,
        source_types=("qfq/quant", "simplescaling/s1-teasers"),
    ),
)  # fmt: skip
"""The 16 sources of Table 7 with the number of questions each has in the pool of 59,029."""

BENCHMARKS: tuple[Source, ...] = (
    Source(
        "AIME24", "simplescaling/aime24_nofigures", rows.aime, "benchmark", 30,
        main_seen="95fca17", licence="apache-2.0", mirror=("aime/aime24.jsonl",),
        note=f"the variant without figure code; {_NO_REVISION}",
    ),
    Source(
        "AIME25", "simplescaling/aime25_nofigures", rows.aime, "benchmark", 30,
        note=f"the variant without figure code; {_NO_REVISION}",
    ),
    Source(
        "MATH500", "HuggingFaceH4/MATH-500", rows.math500, "benchmark", 500,
        revision="ff5b20257d8185524591543f8ff5993951537bb8", splits=("test",),
        mirror=("math500/math500.jsonl",),
        note="no licence on its page; MATH and the split it is from are MIT",
    ),
    Source(
        "GPQA Diamond", "Idavidrein/gpqa", rows.gpqa, "benchmark", 198, licence="cc-by-4.0",
        configs=("gpqa_diamond",), gated=True, note=_NO_REVISION,
    ),
    Source(
        "GSM8K", "openai/gsm8k", rows.gsm8k, "benchmark", 1_319, licence="mit",
        configs=("main",), splits=("test",), mirror=("gsm8k/test.jsonl",),
        note=f"not in the paper: used to check decontamination; {_NO_REVISION}",
    ),
)  # fmt: skip
"""What is evaluated on; the paper decontaminates against MATH500, GPQA Diamond and AIME24."""

_ABLATION = "apache-2.0"
RELEASES: tuple[Source, ...] = (
    Source(
        "s1K", "simplescaling/s1K", rows.released, "release", 1_000,
        revision="d070fdb085608970b8388905c78045b1f84085dc", main_seen="278d72b",
        licence="apache-2.0",
    ),
    Source(
        "s1K-1.1", "simplescaling/s1K-1.1", rows.released, "release", 1_000,
        revision="064b009f7987665aae83921408fe44947bb8fa6d", main_seen="96c411f", licence="mit",
        note="main has been uploaded again since, with grades",
    ),
    Source(
        "59K-full", "simplescaling/data_ablation_full59K", rows.released, "release", 58_986,
        licence=_ABLATION, note=_NO_REVISION,
    ),
    Source(
        "1K-random", "simplescaling/data_ablation_random1K", rows.released, "release", 1_000,
        licence=_ABLATION, note=_NO_REVISION,
    ),
    Source(
        "1K-diverse", "simplescaling/data_ablation_diverse1K", rows.released, "release", 1_000,
        main_seen="6dde8e7", licence=_ABLATION, note=_NO_REVISION,
    ),
    Source(
        "1K-longest", "simplescaling/data_ablation_longest1K", rows.released, "release", 1_000,
        main_seen="83e1a5c", licence=_ABLATION, note=_NO_REVISION,
    ),
)  # fmt: skip
"""The authors' own selections, as published (Table 2)."""

SUBSETS = {
    "random": "1K-random",
    "diverse": "1K-diverse",
    "longest": "1K-longest",
    "full": "59K-full",
}
"""The released selections behind the baselines of Table 2 (`selection.ablations.BASELINES`)."""

QUESTIONS: tuple[Source, ...] = (
    Source(
        "s1K questions", "simplescaling/s1K", rows.published_question, "questions", 912,
        revision="d070fdb085608970b8388905c78045b1f84085dc", licence="apache-2.0",
        mirror=("s1k/s1k_published_problem_solution.jsonl",),
        note="questions and solutions only; a mirror withholds the 88 of GPQA, the Hub has 1,000",
    ),
    Source(
        "notebook questions", "", rows.published_question, "questions", 893,
        licence="apache-2.0", mirror=("s1k/s1k_questions_from_filter_notebook.jsonl",),
        note="printed by the official data/filter.ipynb, whose selection is not the published one; "
        "a mirror withholds the 107 of GPQA; the text of 25 differs from the original in "
        "whitespace, so their keys do too",
    ),
)  # fmt: skip
"""Selections whose questions are known without their traces."""

SOURCES: dict[str, Source] = {s.name: s for s in (*POOL, *BENCHMARKS, *RELEASES, *QUESTIONS)}
"""Every data set by name."""


def source(name: str) -> Source:
    """The data set of this name; case, spaces, "-" and "_" do not matter (`"gpqa-diamond"`).

    Raises:
        InputError: there is none; the message lists them.
    """
    if name in SOURCES:
        return SOURCES[name]
    for known, entry in SOURCES.items():
        if _plain(known) == _plain(name):
            return entry
    raise rows.InputError(f"no data set is called {name!r}: choose one of {', '.join(SOURCES)}")


def _plain(name: str) -> str:
    return "".join(char for char in name.lower() if char.isalnum() or char == ".")


def all_sources(kind: Kind | None = None) -> list[Source]:
    """Every data set, or those of one kind, in the order of the paper's tables."""
    return [entry for entry in SOURCES.values() if kind in (None, entry.kind)]


def table7_name(source_type: str) -> str:
    """The row of Table 7 that a recorded source belongs to; the source itself when there is none.

    `"qfq/openaimath/Algebra" -> "MATH"`
    """
    for entry in POOL:
        if source_type.startswith(entry.source_types):
            return entry.name
    return source_type


def is_gated(source_type: str) -> bool:
    """Whether text from this source must not be spread (GPQA)."""
    return "gpqa" in source_type.lower()
