"""From the pool to a checkpoint: what selection keeps, what an example is, what training costs."""

import textwrap
from collections import Counter
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np

from s1core import selection
from s1core.records import Example, from_dict
from s1core.selection import Candidate
from s1core.sft.config import SFTConfig
from s1core.sft.encode import encode
from s1lab import packaged, profiles
from s1lab.analysis.ablations import training_flops
from s1lab.audit.published import published
from s1lab.data.sources import POOL
from s1lab.evaluation.report import Row, lines
from s1lab.pipeline import Pipeline
from s1lab.planning.sft_plan import paper_flops, paper_share
from s1lab.planning.shapes import SHAPES, shape_of

WORDS = packaged("analysis/training.yaml")
_SETTINGS = ("epochs", "batch_size", "lr", "warmup_ratio", "betas", "weight_decay", "max_seq_len")


class Curation:
    """Selection on the pool that a profile curates, stage by stage (Section 2.2, Algorithm 1)."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline.curated
        self.candidates, self.evaluation, self.config = self.pipeline.curation()
        self.run = self.pipeline.selection()
        self.funnel = from_dict(selection.Funnel, self.run.read_json("funnel.json"))

    def stages(self) -> list[Row]:
        """What each stage leaves, beside the paper's counts, as `forests.funnel` draws it."""
        rows = beside_paper(self.funnel)
        return [row for row in rows if row["stage"] != "pre-selected" or self.funnel.preselected]

    def reasons(self) -> list[Row]:
        """Why questions were dropped."""
        dropped = ((s.name, *pair) for s in self.funnel.stages for pair in s.reasons.items())
        return lines("stage | reason | questions", dropped)

    def copies(self) -> list[Row]:
        """Questions that are copies of evaluation questions."""
        _, dropped = selection.decontaminate(self.candidates, self.evaluation)
        asked = (one.candidate.question for one in dropped)
        pairs = ((question, self.evaluation.overlap(question)[1]) for question in asked)
        return lines("in the pool | as compared", pairs)

    @cached_property
    def checked(self) -> list[Candidate]:
        """What passes the quality stages."""
        return selection.curate(self.candidates, self.evaluation, self.config)[0]

    @cached_property
    def hard(self) -> list[Candidate]:
        """What neither base model solves."""
        return selection.difficulty(self.checked)[0]

    def draw(self, seed: Any) -> list[Candidate]:
        """Algorithm 1 on the hard questions."""
        return selection.diversify(self.hard, self.config.diversity, np.random.default_rng(seed))[0]

    @cached_property
    def chosen(self) -> list[Candidate]:
        """The selected questions."""
        return self.draw([self.pipeline.profile.seed, 1000])

    def solved(self) -> list[Row]:
        """Questions by which of the two base models solves them."""
        count = Counter((c.small_correct, c.large_correct) for c in self.checked)
        names = {False: "not by the small model", True: "by the small model"}
        rows = ((name, count[small, False], count[small, True]) for small, name in names.items())
        return lines("solved | not by the large model | by the large model", rows)

    def subjects(self) -> list[Row]:
        """Questions of each subject before and after Algorithm 1, the largest subject first."""
        before, after = (Counter(c.domain for c in group) for group in (self.hard, self.chosen))
        listed = sorted(before.items(), key=lambda pair: (-pair[1], pair[0]))
        cells = ((name, count, after[name], after[name] / count) for name, count in listed)
        return lines("subject | hard | selected | share taken (%)", cells)

    def overlap(self) -> float:
        """The mean Jaccard overlap between six draws of Algorithm 1 with different seeds."""
        drawn = [{c.key for c in self.draw(seed)} for seed in range(6)]
        return float(np.mean([selection.jaccard(a, b) for a, b in combinations(drawn, 2)]))


def sources() -> list[Row]:
    """Table 7, with what one needs in order to fetch each source again."""
    known = (
        (s.name, s.rows, s.hub_id, s.revision[:10] or "not verified", s.licence or "none stated")
        for s in POOL
    )
    return lines("source | questions | repository | commit | licence", known)


def beside_paper(funnel: selection.Funnel) -> list[Row]:
    """The funnel's rows with the counts of Section 2.2 and of the official notebook, or None."""
    known, stages = published()["selection"], WORDS["stages"]
    return [
        row | {name: known[name].get(stages.get(row["stage"])) for name in ("paper", "notebook")}
        for row in funnel.rows()
    ]


def load_audit() -> dict[str, Any]:
    """Sources, crosswords, overlaps with MATH500 and AIME24 of two selections of 1,000 questions:
    s1K as "published", and the run printed in the official selection "notebook". Counts and keys
    for machines without the data (`tests/test_data.py` computes them), without GPQA's questions,
    whose text the mirror withholds. Near-duplicates are reported, not dropped: shared 8-grams miss
    a paraphrase and catch a formula of speech."""
    return packaged("data/s1k_audit.json")


def shared_8_grams() -> list[Row]:
    """What eight shared words find in the published s1K, by benchmark."""
    head = "benchmark | questions sharing 8 words | of these from AIME 1983–2021"
    found = (
        (name, of["questions"], of["by_source"]["AIME 1983-2021"], of["most_common"][0][0])
        for name, of in load_audit()["published"]["shared_8_grams"].items()
    )
    return lines(f"{head} | the most common eight", found)


def versions() -> list[Row]:
    """Section 2.2 and Algorithm 1 beside the notebook that made the data."""
    sides = [published()["selection"][side] for side in ("paper", "notebook")]
    counted, told = WORDS["versions"].values()
    rows = [(what, *(side[key] for side in sides)) for what, key in counted.items()]
    return lines("what | the paper | official notebook", rows + told)


def recipe(pipeline: Pipeline) -> list[Row]:
    """The paper's settings beside the profile's (Appendix D)."""
    known, run = published()["training"], pipeline.checkpoint().summary()
    theirs, ours = SFTConfig(), SFTConfig(**pipeline.profile.sft)
    pairs = {
        "base model": (known["base"], pipeline.profile.model),
        "examples": (1000, run["examples"]),
        "optimizer steps": (known["steps"], run["steps"]),
        **{n.replace("_", " "): (getattr(theirs, n), getattr(ours, n)) for n in _SETTINGS},
    }
    said = ((n, _said(a), _said(b), "yes" if a == b else "no") for n, (a, b) in pairs.items())
    return lines("setting | paper | here | the same", said)


def _said(value: Any) -> str:
    if isinstance(value, tuple | list):
        return " and ".join(map(_said, value))
    if isinstance(value, float):
        return np.format_float_positional(value)
    return f"{value:,}" if isinstance(value, int) else str(value)


def marked(example: Example, tokenizer: Any, config: SFTConfig, width: int = 78) -> str:
    """An example token by token, those that are supervised in brackets."""
    (encoded,) = encode([example], tokenizer, config.template, config.max_seq_len).examples
    pieces = []
    for token, label in zip(encoded.token_ids, encoded.labels, strict=True):
        piece = tokenizer.decode([int(token)]).replace("\n", "\\n")
        pieces.append(piece if label == -100 else f"[{piece}]")
    return textwrap.fill(" ".join(pieces), width, break_on_hyphens=False)


def cost(pipeline: Pipeline) -> list[Row]:
    """What training took, the paper's and ours; FLOPs of both by one formula."""
    run = pipeline.checkpoint()
    made, size = run.summary(), shape_of(pipeline.profile.model).parameters
    both = paper_flops(), training_flops(pipeline)
    theirs = profiles.load("paper").cost(published()["training"]["minutes"])
    rows = (
        ("parameters", f"{SHAPES['Qwen2.5-32B'].parameters:,}", f"{size:,}"),
        ("optimizer steps", str(published()["training"]["steps"]), f"{made['steps']:,}"),
        ("tokens", "–", f"{made['tokens']:,}"),
        ("of these supervised", "–", f"{made['supervised_tokens']:,}"),
        ("TFLOP, at least", *(f"{flops / 1e12:,.1f}" for flops in both)),
        ("share of the chips' peak", f"{100 * paper_share():.0f}%", "–"),
        ("cost, rented", theirs, pipeline.profile.cost(run.minutes)),
        ("on", "16 H100", pipeline.profile.hardware),
    )
    return lines("training | the paper | here", rows)
