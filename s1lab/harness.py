"""Budget forcing as a model of lm-evaluation-harness, without a fork of it.

::

    python -m s1lab.harness --model s1core \\
        --model_args pretrained=simplescaling/s1.1-32B,max_thinking=32000,num_ignore=2 \\
        --tasks gsm8k --log_samples --output_path logs/

is `lm_eval` with one more model, "s1core". A task's text becomes the user's turn; the model thinks
within the budget; the task sees the answer alone, so that its stop strings cannot fire inside a
thought.
"""

from collections import Counter, defaultdict
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.api.registry import register_model

from s1core.backends.base import Backend
from s1core.errors import InputError, S1Error
from s1core.forcing import Budget, generate
from s1core.records import Problem


@register_model("s1core")
class S1Core(LM):
    """A reasoning model under a thinking budget (Section 3.1), for any `generate_until` task.

    Model arguments: `pretrained` (checkpoint folder or Hub id), the fields of a `Budget`, the
    `template` of thinking, the `seed` of sampled decoding, and `batch_size`, `dtype` and `device`
    of the transformers backend.
    """

    def __init__(
        self,
        pretrained: str,
        template: str = "s1",
        seed: int = 0,
        batch_size: int | str = 8,
        dtype: str = "auto",
        device: str | None = None,
        max_batch_size: int | None = None,
        backend: Backend | None = None,
        **budget: Any,
    ) -> None:
        super().__init__()
        self.budget = Budget(**{"max_thinking": 32_000, "max_answer": 1_024, **budget})
        self.common: Any = {"template": template, "seed": seed}
        if backend is None:
            import torch

            from s1core.backends.hf import HFBackend

            # The harness asks for "cuda:0" unless told otherwise, with or without a GPU.
            if str(device).startswith("cuda") and not torch.cuda.is_available():
                device = "cpu"
            size = max_batch_size or (8 if str(batch_size).startswith("auto") else int(batch_size))
            options: Any = {"dtype": dtype, "device": device, "batch_size": size}
            backend = HFBackend.from_pretrained(pretrained, **options)
        self.backend = backend

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Answer every request under the budget, cut at the task's stop strings."""
        texts, seen, rounds = [""] * len(requests), Counter(), defaultdict(list)
        for index, request in enumerate(requests):
            how = _settings(request.args[1])
            # Repeats of a document are samples of it, numbered as they come.
            rounds[how, seen[request.args[0], how]].append(index)
            seen[request.args[0], how] += 1
        for ((temperature, top_p, until), sample), members in rounds.items():
            problems = [Problem(requests[index].args[0], "") for index in members]
            how = {"temperature": temperature, "top_p": top_p, "first_sample": sample}
            how |= {**self.common, "progress": not disable_tqdm}
            for index, made in zip(members, generate(self.backend, problems, self.budget, **how)):
                text = ("" if made.outcome == "ended" else self.budget.answer_cue) + made.answer
                ends = [found for stop in until if stop and (found := text.find(stop)) >= 0]
                texts[index] = text[: min(ends, default=len(text))]
                self.cache_hook.add_partial("generate_until", requests[index].args, texts[index])
        return texts

    def loglikelihood(self, requests: list[Instance]) -> list[Any]:
        """InputError: a thought stands between question and answer; no such task can be run."""
        told = "choose a task with output_type generate_until"
        raise InputError(f"s1core answers after thinking, so it scores no continuations; {told}")

    loglikelihood_rolling = loglikelihood
    tokenizer_name = "s1core"  # in the harness's cache keys

    def chat_template(self, chat_template: bool | str = False) -> str:
        """The chat template is applied by s1core; "" tells the harness to apply none."""
        return ""

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        """One user turn for the whole history; the model's own template is applied afterwards."""
        return "\n\n".join(message["content"] for message in chat_history)


def _settings(asked: dict[str, Any]) -> tuple[float, float, tuple[str, ...]]:
    """Temperature, top_p and stop strings of a request."""
    greedy = not asked.get("do_sample", float(asked.get("temperature") or 0) > 0)
    until = asked.get("until") or ()
    return (
        0.0 if greedy else float(asked.get("temperature") or 1.0),
        float(asked.get("top_p") or 1.0),
        (until,) if isinstance(until, str) else tuple(until),
    )


if __name__ == "__main__":
    from lm_eval.__main__ import cli_evaluate

    try:
        cli_evaluate()
    except S1Error as error:
        raise SystemExit(f"Error: {error}") from None
