"""The paper's claims, each with its numbers and the question that our runs are asked.

How a claim is put to the test, and the rule of the verdict, are in `s1lab.analysis.verdicts`;
which differences the paper's own numbers show is asked by `s1lab.audit.comparisons`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from s1core.errors import RunError
from s1lab.analysis import verdicts
from s1lab.analysis.verdicts import Measure, Measured, Untested
from s1lab.audit.published import accuracy_of, published, runs
from s1lab.evaluation import scaling_per_doubling
from s1lab.pipeline import Pipeline

NOT_TESTED = Measured("", "", "not tested")


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim of the paper.

    Attributes:
        text: what the paper claims, in our words.
        where: its sections, tables and figures.
        paper: its numbers, read from `published.json`.
        chapter: name of the notebook that discusses it, without its number: "introduction".
        measure: our numbers, from the finished runs of a pipeline.
    """

    text: str
    where: str
    paper: Callable[[], str]
    chapter: str
    measure: Measure


def measured(claim: Claim, pipeline: Pipeline) -> Measured:
    """Our side of `claim`; "not tested" where the profile lacks the runs.

    Raises:
        ValueError: the store is not read-only, so that asking could start a run.
    """
    if not pipeline.store.read_only:
        raise ValueError("claims are read from finished runs: open the store with read_only=True")
    try:
        return claim.measure(pipeline)
    except (RunError, Untested):
        return NOT_TESTED


def _rows(table: str, a: str, b: str, benchmark: str = "AIME24") -> Callable[[], str]:
    """`+6.7 points (56.7 and 50.0, AIME24)`, from two printed accuracies."""

    def paper() -> str:
        first, second = (accuracy_of(table, row, benchmark).percent for row in (a, b))
        return f"{first - second:+.1f} points ({first} and {second}, {benchmark})"

    return paper


def _curve_of_figure_1() -> str:
    points = published()["figure1"]["points"]["AIME24"]
    (start, low), (end, high) = points[0], points[-3]  # the last two are Waits
    return f"{high - low:+.1f} points from {start:,.0f} to {end:,.0f} tokens (AIME24)"


def _figure_4a() -> str:
    points = published()["figure4a"]["points"]
    return f"{points[-1][1] - points[-2][1]:+.1f} points from Wait 4x to 6x (AIME24)"


def _table_3(method: str, measure: str) -> Callable[[], str]:
    unit = {"control": "%", "scaling": " points per doubling"}[measure]
    return lambda: f"{published()['table3']['rows'][method][measure]}{unit} (AIME24)"


def _table_8(tokens: bool) -> Callable[[], str]:
    def paper() -> str:
        (cut, cut_tokens), (whole, whole_tokens) = published()["table8"]["rows"]["AIME24"]
        if tokens:
            return f"{cut_tokens:,} tokens against {whole_tokens:,} (AIME24)"
        return f"{whole - cut:+.1f} points ({whole} and {cut}, AIME24)"

    return paper


def _figure_4b() -> str:
    figure = published()["figure4b"]
    best = max(figure["majority_Qwen2.5-32B-Instruct"]["acc"])
    ours = min(figure["sequential_s1"]["acc"][1:])
    return f"{ours} against {best} at best (GPQA Diamond)"


def _scaling_of_bf() -> str:
    run = runs("BF")
    value = scaling_per_doubling(run.thinking_tokens, run.exact_accuracy)
    return f"{value:+.1f} points per doubling (AIME24)"


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "A model that may think longer answers better.",
        "Section 4.2, Figure 1",
        _curve_of_figure_1,
        "introduction",
        verdicts.more_budget,
    ),
    Claim(
        "Accuracy grows with every doubling of thinking tokens (Scaling).",
        "Equation 2, Table 3",
        _scaling_of_bf,
        "introduction",
        verdicts.slope,
    ),
    Claim(
        "A forced end keeps every generation within its budget (Control).",
        "Equation 1, Table 3",
        _table_3("BF", "control"),
        "budget_forcing",
        verdicts.budgets_kept,
    ),
    Claim(
        'Replacing the end of thinking by "Wait" twice raises accuracy beyond the natural stop.',
        "Section 4.2, Figure 4a, Table 4",
        _rows("Table 4", '2x "Wait"', "No extrapolation"),
        "introduction",
        verdicts.two_waits,
    ),
    Claim(
        "With more and more Waits the gain flattens out.",
        "Section 4.2, Figure 4a",
        _figure_4a,
        "discussion",
        verdicts.most_waits,
    ),
    Claim(
        '"Wait" is a better string than none at all (the end is only suppressed).',
        "Table 4",
        _rows("Table 4", '2x "Wait"', "2x without string"),
        "methods",
        verdicts.string("without string"),
    ),
    Claim(
        '"Wait" is a better string than "Alternatively".',
        "Table 4",
        _rows("Table 4", '2x "Wait"', '2x "Alternatively"'),
        "methods",
        verdicts.string("Alternatively"),
    ),
    Claim(
        '"Wait" is a better string than "Hmm".',
        "Table 4",
        _rows("Table 4", '2x "Wait"', '2x "Hmm"'),
        "methods",
        verdicts.string("Hmm"),
    ),
    Claim(
        "Fine-tuning on 1,000 examples makes the model better at reasoning.",
        "Table 1",
        _rows("Table 1", "s1 w/o BF", "Qwen2.5-32B-Instruct"),
        "results",
        verdicts.fine_tuning,
    ),
    Claim(
        "The selected thousand beats a random thousand.",
        "Section 5.1, Table 2",
        _rows("Table 2", "s1K", "1K-random"),
        "data_ablations",
        verdicts.subset("random"),
    ),
    Claim(
        "The selected thousand beats a thousand chosen for diversity alone.",
        "Section 5.1, Table 2",
        _rows("Table 2", "s1K", "1K-diverse"),
        "data_ablations",
        verdicts.subset("diverse"),
    ),
    Claim(
        "The selected thousand beats the thousand longest.",
        "Section 5.1, Table 2",
        _rows("Table 2", "s1K", "1K-longest"),
        "data_ablations",
        verdicts.subset("longest"),
    ),
    Claim(
        "Training on the whole pool brings no substantial gain over the selected thousand.",
        "Section 5.1, Table 2",
        _rows("Table 2", "59K-full", "s1K"),
        "data_ablations",
        verdicts.whole_pool,
    ),
    Claim(
        "Examples cut at a short sequence length make the model think longer.",
        "Appendix D.1, Table 8",
        _table_8(tokens=True),
        "sequence_length",
        verdicts.cut_examples,
    ),
    Claim(
        "Examples cut at a short sequence length make it worse.",
        "Appendix D.1, Table 8",
        _table_8(tokens=False),
        "sequence_length",
        verdicts.whole_examples,
    ),
    Claim(
        "A budget in tokens named in the prompt is not kept.",
        "Appendix E.1, Tables 3 and 12",
        _table_3("TCC", "control"),
        "methods",
        verdicts.token_limits_kept,
    ),
    Claim(
        "Asking for a short or a long amount of thinking controls its length only in part.",
        "Appendix E.1, Tables 3 and 14",
        _table_3("CCC", "control"),
        "methods",
        verdicts.class_prompts,
    ),
    Claim(
        "Rejection sampling scales inversely: the longer the traces it accepts, the worse.",
        "Section 5.2, Table 3, Figure 6",
        _table_3("RS", "scaling"),
        "methods",
        verdicts.rejection_slope,
    ),
    Claim(
        "Majority voting over samples of the base model cannot catch up with the fine-tuned one.",
        "Section 4.2, Figure 4b",
        _figure_4b,
        "results",
        verdicts.votes_of_the_base,
    ),
)
