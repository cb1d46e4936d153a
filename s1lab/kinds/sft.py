"""Fine-tuning (Section 4.1): from examples to a checkpoint."""

from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any

from s1core.checkpoints import identify, load_tokenizer, locate
from s1core.forcing import controls
from s1core.records import Example
from s1lab import experiments
from s1lab.data.mirror import sha256
from s1lab.data.sources import SUBSETS
from s1lab.experiments import Training
from s1lab.kinds import curation
from s1lab.lab import Lab, Step
from s1lab.runs import Run


def step(lab: Lab, training: Training) -> Step:
    """The base model fine-tuned; the model is in `sft/final`, the log public as `log.jsonl`."""
    data = SUBSETS.get(training.subset, lab.profile.pool)
    needs: tuple[Step, ...] = ()
    if lab.profile.curates:
        needs = (curation.selection(lab, training.subset),)
        data = needs[0].run.id
    if lab.profile.one_training and (before := _before(lab, training)):
        needs += (step(lab, before),)
    settings = {"model": lab.model_id, "data": data, "template": lab.profile.template}
    settings["sft"] = recipe(lab, training)
    if training.control:
        settings["control"] = training.control
    label, made = f"fine-tuning, {training.label}", partial(_train, lab, training)
    return Step(label, lab.store.locate("sft", settings), made, needs=needs, training=training)


def recipe(lab: Lab, training: Training) -> dict[str, Any]:
    """The settings of `SFTConfig` for a training."""
    return {**lab.profile.sft, "seed": lab.profile.seed, **dict(training.changes)}


def _before(lab: Lab, training: Training) -> Training | None:
    """The training that ends before this one begins, where memory holds one at a time."""
    every = dict.fromkeys(c.training for _, c in experiments.conditions(lab.profile))
    earlier = [*takewhile(lambda one: one != training, every)]
    return next((one for one in reversed(earlier) if one and not one.released), None)


def model(lab: Lab, training: Training | None) -> str | Path:
    """What is sampled from: the base model, a released one, or a checkpoint (made if need be)."""
    if training is None:
        return lab.profile.model
    if training.released:
        return lab.profile.released[training.released]["model"]
    return step(lab, training).make().path / "sft" / "final"


def identity(lab: Lab, training: Training | None) -> tuple[str, tuple[Step, ...]]:
    """How settings name `model`, and the step that makes it, if one does."""
    if training is None or training.released:
        return identify(str(model(lab, training))), ()
    made = step(lab, training)
    return made.run.id, (made,)


def instructed(lab: Lab, training: Training, tokenizer: Any) -> list[Example]:
    """What a training reads: a subset, its questions naming the budget of their trace where the
    training is for such control (Appendix E.1)."""
    examples = curation.examples(lab, training.subset)
    if training.control == "tokens":
        return [controls.token_conditional(example, tokenizer) for example in examples]
    if training.control == "steps":
        separator = lab.profile.methods.step_separator
        return [controls.step_conditional(example, separator) for example in examples]
    return examples


def _train(lab: Lab, training: Training, run: Run) -> dict[str, Any]:
    from s1core.sft import SFTConfig, train
    from s1lab.kinds.launch import spawn

    lab.release()
    profile, out = lab.profile, run.path / "sft"
    base = locate(profile.model)
    tokenizer = load_tokenizer(base)
    examples = instructed(lab, training, tokenizer)
    config = SFTConfig(**recipe(lab, training), template=profile.template)
    lab.say(f"sft: {len(examples):,} examples ({training.label}), {config.epochs} epochs")
    if profile.gpus or profile.processes > 1 or profile.rehearsal or profile.one_training:
        result = spawn(base, examples, config, out, profile.processes, profile.threads)
    else:
        import torch

        if profile.threads:
            torch.set_num_threads(profile.threads)
        result = train(base, tokenizer, examples, config, out, progress=lab.progress)
    run.write_records("log.jsonl", result.log)
    facts = {name: getattr(result, name) for name in ("steps", "tokens", "supervised_tokens")}
    if profile.one_training:  # of weights that nobody commits
        digests = {path.name: sha256(path) for path in sorted(result.path.glob("*.safetensors"))}
        facts["weights"] = {"base": profile.model, **digests}
    return {**facts, "examples": len(examples), "encoding": result.data}
