"""Supervised fine-tuning: 1,000 examples to a checkpoint (Section 4.1, Appendix D). `encode` makes
token ids and labels, `train` runs the recipe. Importing this imports no torch."""

from s1core.sft.config import SFTConfig
from s1core.sft.encode import Encoded, EncodedExample, encode
from s1core.sft.train import TrainResult, train

__all__ = ["Encoded", "EncodedExample", "SFTConfig", "TrainResult", "encode", "train"]
