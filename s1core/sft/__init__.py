"""Supervised fine-tuning: 1,000 examples to a checkpoint (Section 4.1, Appendix D).

`encode` makes token ids and labels, `pack` fills rows, `train` runs the recipe on one process or
many. Importing this package does not import torch.
"""

from s1core.sft.config import SFTConfig
from s1core.sft.encode import Encoded, EncodedExample, encode
from s1core.sft.train import TrainResult, train

__all__ = ["Encoded", "EncodedExample", "SFTConfig", "TrainResult", "encode", "train"]
