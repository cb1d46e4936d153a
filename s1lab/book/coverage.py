"""What the paper shows, figure by figure and table by table, and where this book answers it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Item:
    """A figure, table or algorithm of the paper (version 3).

    Attributes:
        name: as the paper calls it: "Figure 1", "Table 12", "Algorithm 1", "Equation 2".
        about: what it shows.
        chapters: names of the notebooks that have its counterpart; empty when there is none.
        note: what the counterpart is, or why there is none.
    """

    name: str
    about: str
    chapters: tuple[str, ...]
    note: str


COVERAGE: tuple[Item, ...] = (
    Item(
        "Figure 1",
        "accuracy against thinking tokens on three benchmarks",
        ("introduction",),
        "on our task, beside the paper's points",
    ),
    Item(
        "Figure 2",
        "left: the sources of s1K; right: accuracy against training examples",
        ("data_curation", "results", "audit"),
        "left: domains and sources of our selection; right: our training sets, and the points "
        "audited: the other models cannot be trained here",
    ),
    Item(
        "Figure 3",
        "one trace that a Wait mends",
        ("budget_forcing", "traces"),
        "a real trace of our model; many more in the viewer",
    ),
    Item(
        "Figure 4",
        "left: sequential scaling with Waits; right: majority voting of the base model",
        ("introduction", "results"),
        "left: our curve; right: our votes",
    ),
    Item(
        "Figure 5",
        "example generations",
        ("traces",),
        "generations of every run, in the trace viewer",
    ),
    Item(
        "Figure 6",
        "rejection sampling by length",
        ("methods",),
        "on samples of our model",
    ),
    Item(
        "Figure 7",
        "sequential scaling, majority voting and REBASE on top of it",
        ("results", "discussion"),
        "without REBASE: its process reward model, a fine-tuned LLaMA of 34 billion parameters, "
        "cannot run here and cannot judge our task",
    ),
    Item(
        "Figure 8",
        "the prompt that grades traces",
        (),
        "a prompt, not a result; it is in `s1lab.annotation.judge`, and our traces are graded by "
        "arithmetic",
    ),
    Item("Figure 9", "loss, learning rate and gradient norm", ("training",), "of our training"),
    Item(
        "Figure 10",
        "the formats of token and step instructions",
        ("methods",),
        "the prompts that our conditional models were trained on",
    ),
    Item(
        "Table 1",
        "accuracy of s1-32B among reasoning models",
        ("introduction", "results", "audit"),
        "our model before and after fine-tuning, without and with Waits; the printed rows with "
        "their intervals in the audit",
    ),
    Item(
        "Table 2",
        "other choices of 1,000 examples",
        ("data_ablations",),
        "the same subsets of our pool",
    ),
    Item(
        "Table 3", "Control, Scaling and Performance", ("methods", "audit"), "ours, and recomputed"
    ),
    Item("Table 4", "other strings than Wait", ("methods",), "the same strings"),
    Item(
        "Table 5",
        "s1.1: traces of DeepSeek r1",
        ("results", "discussion", "audit"),
        "discussed, and audited with intervals; not trained: a second teacher of another quality "
        "has no counterpart in a world with one exact teacher",
    ),
    Item("Table 6", "domains of s1K", ("data_curation", "explore"), "domains of our selection"),
    Item(
        "Table 7",
        "sources of the 59K questions",
        ("data_curation", "explore"),
        "sources of our pool",
    ),
    Item(
        "Table 8",
        "sequence length in training",
        ("sequence_length",),
        "examples cut at the same share",
    ),
    Item(
        "Table 9", "a training example of s1-prob", ("training",), "examples as our model sees them"
    ),
    Item("Table 10", "a training example of s1-teasers", ("training",), "as for Table 9"),
    Item("Table 11", "a training example of a science question", ("training",), "as for Table 9"),
    Item("Table 12", "token-conditional control", ("methods",), "the same two arms"),
    Item(
        "Table 13", "step-conditional control", ("methods",), "the same two arms; a line is a step"
    ),
    Item("Table 14", "class-conditional control", ("methods",), "the same prompts"),
    Item(
        "Table 15",
        "two generations from rejection sampling",
        (),
        "two single generations of another model; the chapter on traces shows ours at every length",
    ),
    Item(
        "Algorithm 1",
        "diversity sampling",
        ("data_curation",),
        "run, and compared with the released code",
    ),
    Item("Equation 1", "Control", ("budget_forcing", "methods"), "computed for our runs"),
    Item(
        "Equation 2",
        "Scaling",
        ("introduction", "methods", "audit"),
        "computed; its unit is an audit finding",
    ),
    Item(
        "Equation 3", "Performance", ("methods", "audit"), "computed for our runs, and recomputed"
    ),
)
