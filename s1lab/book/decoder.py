"""The pocket model for the reader's browser: what `book/_static/decoder-*.js` decode with.

A build makes the script with the weights from the committed safetensors, so nothing is kept twice;
it is loaded when a reader starts the model. The controls are `s1lab/figures/decoder.jinja`.
"""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from s1core import templates
from s1core.checkpoints import identify, load_tokenizer, locate
from s1core.errors import RunError
from s1core.forcing.budget import Budget, rules
from s1lab import experiments, pocket, profiles
from s1lab.figures.display import render
from s1lab.figures.interactive import embed
from s1lab.pipeline import Pipeline
from s1lab.runs import RunStore

MODEL, SCRIPT = "pocket-s1", "decoder-weights.js"
IGNORE = ("Wait", "Hmm", "Alternatively", "")
_SHAPE = {
    "layers": "num_hidden_layers", "heads": "num_attention_heads", "width": "hidden_size",
    "keyHeads": "num_key_value_heads", "inner": "intermediate_size",
    "context": "max_position_embeddings", "epsilon": "rms_norm_eps",
}  # fmt: skip
_BASE = 91  # printable characters that a JavaScript string holds as they are
_MIDDLE = (_BASE**3 - 1) // 2


def write_weights(static: Path) -> None:
    """Write the script with the model into the static files of a built site."""
    text = json.dumps(shipped(), separators=(",", ":"))
    (static / SCRIPT).write_text(f"var decoderShipped = {text};\n", encoding="utf-8")


def shipped() -> dict[str, Any]:
    """The model, its words, its prompt and the rules of its budgets, as the scripts read them."""
    from safetensors.numpy import load_file

    folder, tokenizer = Path(locate(MODEL)), load_tokenizer(MODEL)
    said = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    words = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().get)
    heads, width = said["num_attention_heads"], said["hidden_size"]
    halves = np.arange(0, width // heads, 2, np.float32) / np.float32(width // heads)
    config = {here: said[there] for here, there in _SHAPE.items()}
    config |= {"headSize": width // heads, "known": len(words)}
    theta = np.float32(said["rope_parameters"]["rope_theta"])
    config["frequencies"] = (1 / theta**halves).tolist()
    weights = load_file(folder / "model.safetensors")
    tensors = {name.removeprefix("model."): packed(values) for name, values in weights.items()}
    return {"config": config, "tensors": tensors, "vocabulary": words, **_asked(tokenizer)}


def packed(values: np.ndarray) -> tuple[int, int, list[float], str]:
    """A tensor as rows, columns, a scale for each row and three digits of base 91 a weight.

    91**3 levels between a row's largest weight and its negative: the error is at most 1.3e-6 of
    the largest. Greedy answers stay what they are, which 16-bit floats (0.8 MB less) change.
    """
    matrix = np.atleast_2d(values).astype(np.float64)
    scales = [float(f"{scale:.9g}") for scale in np.abs(matrix).max(axis=1) / _MIDDLE]
    steps = np.rint(matrix / np.where(scales, scales, 1.0)[:, None]).astype(np.int64)
    levels = np.clip(steps, -_MIDDLE, _MIDDLE) + _MIDDLE
    codes = np.stack([levels // _BASE**2, levels // _BASE % _BASE, levels % _BASE], -1) + ord("#")
    codes += codes >= ord("\\")
    return *matrix.shape, scales, codes.astype(np.uint8).tobytes().decode("ascii")


def _asked(tokenizer: Any) -> dict[str, Any]:
    """The prompt around a question, and budget forcing in token ids."""
    question = "Use 2 3 to make 6"
    inside = templates.encode(tokenizer, question)
    ids = templates.prompt_ids("s1", tokenizer, question)
    at = next(i for i in range(len(ids)) if ids[i : i + len(inside)] == inside)
    budget = Budget(1, ignore_str=IGNORE, max_answer=profiles.load("laptop").evaluation.max_answer)
    made = rules(budget, templates.resolve("s1", tokenizer), tokenizer)
    plain = {
        **{"maxAnswer": made.max_answer, "endIds": made.end_ids, "cueIds": made.cue_ids},
        **{"newlineIds": made.newline_ids, "stops": sorted(made.stops), "eosIds": made.eos_ids},
        **{"endsLine": [i for i in range(len(tokenizer)) if made.ends_line(i)]},
        "header": made.header,
    }
    ignore = dict(zip(IGNORE, made.ignore_ids, strict=True))
    forcing = {"rules": plain, "ignore": ignore, "special": sorted(tokenizer.all_special_ids)}
    return {"prompt": {"before": ids[:at], "after": ids[at + len(inside) :]}, "forcing": forcing}


def controls(store: RunStore | None) -> str:
    """The controls as HTML, with the held-out puzzles, and our curve from a store that has it."""
    profile = profiles.load("laptop")
    asked, points = profile.evaluation, []
    questions = [problem.question for problem in pocket.evaluation_problems(asked.questions)]
    first = questions[0]
    if store is not None:
        with suppress(RunError):  # a book whose results are not those of this profile
            pipeline = Pipeline(profile, store)
            points, first = pipeline.curve(), _mended(pipeline)
    curve = [
        {"label": p.label, "kind": p.kind, "budget": p.budget, "waits": p.waits}
        | {"tokens": p.thinking_tokens, **p.accuracy.row("accuracy")}
        for p in points
    ]
    data = embed({"puzzles": questions, "curve": curve, "temperature": asked.temperature})
    script = f"{SCRIPT}?{identify(MODEL)[-12:]}"
    shown = {"ignore": IGNORE, "first": first, "script": script, "asked": asked}
    return str(render("decoder", data=data, **shown))


def _mended(pipeline: Pipeline) -> str:
    """The held-out puzzle, of three different numbers, that one Wait mends in the fewest tokens."""
    conditions = experiments.natural(pipeline.profile), experiments.waits(pipeline.profile)[0]
    tables = (pipeline.run(condition).read_table("grades.csv") for condition in conditions)
    plain, waited = ({r["problem_key"]: r for r in rows if r["sample"] == "0"} for rows in tables)
    found = [
        (int(waited[p.key]["thinking_tokens"]), p.question)
        for p in pipeline.problems("countdown")
        if plain[p.key]["status"] == "wrong" and waited[p.key]["status"] == "correct"
    ]
    return min(one for one in found if len(set(one[1].split()[1:4])) == 3)[1]
