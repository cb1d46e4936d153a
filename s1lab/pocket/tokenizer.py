"""The pocket tokenizer: one token per number, operator and word, in the shape of Qwen's.

It is a real `transformers` fast tokenizer with a ChatML template, so that everything downstream
(templates, encoding, decoding engines) is the code that a 32B model uses. As with Qwen,
`<|im_start|>think\\n` is three tokens and "Wait" is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from s1lab.pocket.world import CAP

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|unknown|>")

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

# The words of the puzzles and traces, then those of the control prompts of Sections 3.1 and 5.2.
WORDS = """
+ - * / = ( ) : , . yes no want Use to make Answer Final Wait Hmm Alternatively
system user assistant think answer
Think for up tokens steps step left after a short long amount of thinking
Do not spend excessive time double checking your work
If you feel like are finished early the extra trying until absolutely sure that have correct
""".split()


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Build the tokenizer from its word list (deterministic; the shipped files come from here)."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = [*SPECIAL, "\n", *dict.fromkeys(WORDS), *map(str, range(CAP + 1))]
    tokenizer = Tokenizer(
        models.WordLevel({word: i for i, word in enumerate(vocabulary)}, unk_token=SPECIAL[3])
    )
    # Spaces separate and vanish; a newline is a token; so is each number, word and sign.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"[ \t]+"), behavior="removed"),
            pre_tokenizers.Split(Regex(r"\n|\d+|[A-Za-z]+|[^\sA-Za-z\d]"), behavior="isolated"),
        ]
    )
    # Decoding puts the spaces back, but none around a newline.
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.WordPiece(prefix="##", cleanup=False),
            decoders.Fuse(),
            decoders.Replace(" \n", "\n"),
            decoders.Replace("\n ", "\n"),
        ]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token=SPECIAL[3],
        pad_token=SPECIAL[0],
        eos_token=SPECIAL[2],
        additional_special_tokens=[SPECIAL[1]],
        clean_up_tokenization_spaces=False,
        model_max_length=1024,
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast
