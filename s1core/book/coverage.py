"""What the paper shows, figure by figure and table by table, and where this book answers it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Item:
    """A figure, table or algorithm of the paper (version 3).

    Attributes:
        name: as the paper calls it: "Figure 1", "Table 12", "Algorithm 1", "Equation 2".
        about: what it shows.
        chapters: numbers of the notebooks that have its counterpart; empty when there is none.
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
        ("00",),
        "on our task, beside the paper's points",
    ),
    Item(
        "Figure 2",
        "left: the sources of s1K; right: accuracy against training examples",
        ("01", "05", "09"),
        "left: domains and sources of our selection; right: our subsets, and the printed points "
        "audited: the other models cannot be trained here",
    ),
    Item(
        "Figure 3",
        "one trace that a Wait mends",
        ("03", "06"),
        "a real trace of our model; many more in the viewer",
    ),
    Item(
        "Figure 4",
        "left: sequential scaling with Waits; right: majority voting of the base model",
        ("00", "07"),
        "left: our curve; right: our votes",
    ),
    Item(
        "Figure 5", "example generations", ("06",), "generations of every run, in the trace viewer"
    ),
    Item(
        "Figure 6",
        "rejection sampling by length",
        ("07",),
        "on samples of our model",
    ),
    Item(
        "Figure 7",
        "sequential scaling, majority voting and REBASE on top of it",
        ("07",),
        "without REBASE: its process reward model, a fine-tuned LLaMA of 34 billion parameters, "
        "cannot run here and cannot judge our task",
    ),
    Item(
        "Figure 8",
        "the prompt that grades traces",
        (),
        "a prompt, not a result; it is in `s1core.data.judge`, and our traces are graded by "
        "arithmetic",
    ),
    Item("Figure 9", "loss, learning rate and gradient norm", ("02",), "of our training"),
    Item(
        "Figure 10",
        "the formats of token and step instructions",
        ("07",),
        "the prompts that our conditional models were trained on",
    ),
    Item(
        "Table 1",
        "accuracy of s1-32B among reasoning models",
        ("00", "04", "09"),
        "our model before and after fine-tuning, without and with Waits; the printed rows with "
        "their intervals in the audit",
    ),
    Item("Table 2", "other choices of 1,000 examples", ("05",), "the same subsets of our pool"),
    Item("Table 3", "Control, Scaling and Performance", ("07", "09"), "ours, and recomputed"),
    Item("Table 4", "other strings than Wait", ("04",), "the same strings"),
    Item(
        "Table 5",
        "s1.1: traces of DeepSeek r1",
        ("08", "09"),
        "discussed, and audited with intervals; not trained: a second teacher of another quality "
        "has no counterpart in a world with one exact teacher",
    ),
    Item("Table 6", "domains of s1K", ("01", "10"), "domains of our selection"),
    Item("Table 7", "sources of the 59K questions", ("01", "10"), "sources of our pool"),
    Item("Table 8", "sequence length in training", ("07",), "examples cut at the same share"),
    Item("Table 9", "a training example of s1-prob", ("02",), "examples as our model sees them"),
    Item("Table 10", "a training example of s1-teasers", ("02",), "as for Table 9"),
    Item("Table 11", "a training example of a science question", ("02",), "as for Table 9"),
    Item("Table 12", "token-conditional control", ("07",), "the same two arms"),
    Item("Table 13", "step-conditional control", ("07",), "the same two arms; a line is a step"),
    Item("Table 14", "class-conditional control", ("07",), "the same prompts"),
    Item(
        "Table 15",
        "two generations from rejection sampling",
        (),
        "two single generations of another model; chapter 6 shows ours at every length",
    ),
    Item("Algorithm 1", "diversity sampling", ("01",), "run, and compared with the released code"),
    Item("Equation 1", "Control", ("03", "07"), "computed for our runs"),
    Item("Equation 2", "Scaling", ("00", "07", "09"), "computed; its unit is an audit finding"),
    Item("Equation 3", "Performance", ("07", "09"), "computed for our runs, and recomputed"),
)
