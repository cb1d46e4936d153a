"""Supervised fine-tuning: 1,000 examples to a checkpoint (Section 4.1, Appendix D).

`encode` makes token ids and labels, `pack` fills rows, `train` runs the recipe on one process or
many, `plan` predicts memory, FLOPs and money. Importing this package does not import torch.
"""

from s1core.errors import InputError
from s1core.sft.config import LoRA, SFTConfig
from s1core.sft.encode import Encoded, EncodedExample, encode
from s1core.sft.train import TrainResult, train

__all__ = [
    "Encoded",
    "EncodedExample",
    "LoRA",
    "SFTConfig",
    "InputError",
    "TrainResult",
    "encode",
    "train",
]
