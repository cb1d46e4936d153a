"""What a run cost: FLOPs, share of peak, device-hours, money; and the paper's own figures.

`account` is for a run that was made, `sft_plan` for one that is planned; `paper_arithmetic`
works the published numbers through (7 against 394 H100-hours; $6, $20 and $50).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from s1lab.planning.sft_plan import H100, Hardware
from s1lab.planning.shapes import SHAPES, ModelShape


@dataclass(frozen=True, slots=True)
class Cost:
    """What training took.

    Attributes:
        tokens: tokens computed.
        flops: model FLOPs (6 N per token and causal attention; recomputation not counted).
        device_hours: devices times hours.
        achieved: FLOP/s per device.
        share_of_peak: `achieved` over the device's dense bf16 peak (model FLOPs utilization).
        money: device-hours at the hardware's price.
    """

    tokens: int
    flops: float
    device_hours: float
    achieved: float
    share_of_peak: float
    money: float


def account(
    shape: ModelShape,
    lengths: Iterable[int],
    seconds: float,
    *,
    epochs: int = 1,
    devices: int = 1,
    hardware: Hardware = H100,
) -> Cost:
    """The cost of a run that was made.

    Args:
        shape: of the model.
        lengths: tokens of each example, as trained on (`Encoded.lengths`).
        seconds: wall time (`TrainResult.seconds`).
        epochs: passes over the examples.
        devices: how many worked for that long.
        hardware: which.
    """
    sizes = list(lengths)
    flops = epochs * shape.train_flops(sizes)
    achieved = flops / (seconds * devices) if seconds > 0 else 0.0
    hours = seconds * devices / 3600
    return Cost(
        tokens=epochs * sum(sizes),
        flops=flops,
        device_hours=hours,
        achieved=achieved,
        share_of_peak=achieved / hardware.peak_flops,
        money=hours * hardware.price,
    )


@dataclass(frozen=True, slots=True)
class Worked:
    """One line of arithmetic: what it says, its value and unit, and where its inputs are from."""

    what: str
    value: float
    unit: str
    source: str


THINKING_TOKENS_S1K = 4.7e6
"""Thinking tokens of s1K (Table 6); questions and answers come on top."""


def paper_arithmetic(hardware: Hardware = H100) -> tuple[Worked, ...]:
    """The paper's cost, worked through: every line follows from the ones above it.

    The FLOPs are a lower bound: thinking tokens alone, every example taken at the mean length
    (attention grows with the square of the length).
    """
    hours = 16 * 26 / 60
    shape = SHAPES["Qwen2.5-32B"]
    flops = 5 * shape.train_flops([int(THINKING_TOKENS_S1K / 1000)] * 1000)
    achieved = flops / (hours * 3600)
    appendix, table6 = "Appendix D", "Table 6; 6 N D and attention"
    price = "divided by the H100-hours above"
    kellogg = "T. Kellogg, 'S1: The $6 R1 Competitor?', 2025-02"
    return (
        Worked("s1K on 16 H100 for 26 minutes", hours, "H100-hours", appendix),
        Worked("the full 59K pool", 394.0, "H100-hours", "Section 5.1"),
        Worked("59K pool over s1K", 394.0 / 7.0, "times", "Section 5.1; 59 times the examples"),
        Worked("training FLOPs of s1-32B, at least", flops, "FLOP", table6),
        Worked("rate per GPU", achieved / 1e12, "TFLOP/s", "FLOPs over H100-hours"),
        Worked("share of the bf16 peak", achieved / hardware.peak_flops, "of 1", hardware.name),
        Worked("H100-hour price behind $6", 6 / hours, "$", f"{kellogg}; {price}"),
        Worked("H100-hour price behind $20", 20 / hours, "$", f"an author, in the press; {price}"),
        Worked("H100-hour price behind $50", 50 / hours, "$", f"press, 'under $50'; {price}"),
    )
