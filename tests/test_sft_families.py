"""The loss: torch's, in less memory; transformers', packed or not, or the model is refused."""

import json
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from s1core.errors import InputError, S1Error
from s1core.sft import SFTConfig, encode
from s1core.sft.checkpoint import save_tokenizer
from s1core.sft.engine import summed_loss
from s1core.sft.train import batch_at
from tests.helpers import tiny_model, tiny_tokenizer
from tests.test_sft_encode import CASES
from tests.test_sft_train import damage, examples, losses, reference_loss, train

CONFIG = SFTConfig(epochs=1, batch_size=5, lr=1e-3, max_seq_len=128, weight_decay=0.0)
SUPPORTED, REFUSED, FOREIGN = (CASES[name] for name in ("supported", "refused", "foreign"))


def built(name: str, settings: dict[str, Any], tokenizer: Any) -> Any:
    from transformers import AutoConfig, AutoModelForCausalLM

    shape = CASES["shape"] if name != "gpt2" else {}
    ids = {"pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 0}
    settings = {"vocab_size": len(tokenizer) + 24, **shape, **ids, **settings}
    config = AutoConfig.for_model(name.split(" ")[0], **settings)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
        for parameter in model.parameters():
            parameter.data += torch.randn_like(parameter) * 0.05
    return model


@pytest.mark.parametrize("name", SUPPORTED)
def test_the_loss_is_that_of_transformers_packed_or_not_and_the_saved_model_stops(name, tmp_path):
    from transformers import AutoModelForCausalLM

    model = built(name, SUPPORTED[name], tiny_tokenizer())
    model.save_pretrained(tmp_path / "model")
    save_tokenizer(tiny_tokenizer(), tmp_path / "model")
    encoded = encode(examples(), tiny_tokenizer(), max_seq_len=128)
    expected = reference_loss(model, batch_at(encoded.examples, CONFIG, 0)).item()
    alone = replace(CONFIG, packing=False)
    unpacked = train(tmp_path / "model", tiny_tokenizer(), encoded, alone, tmp_path / "alone")
    result = train(tmp_path / "model", tiny_tokenizer(), encoded, CONFIG, tmp_path / "packed")
    assert losses(result)[0] == pytest.approx(expected, rel=1e-4)
    assert losses(result) == pytest.approx(losses(unpacked), rel=1e-4)
    saved = AutoModelForCausalLM.from_pretrained(result.path, attn_implementation="eager")
    assert tiny_tokenizer().eos_token_id in saved.generation_config.eos_token_id  # and the old end
    assert reference_loss(saved, encoded.examples).item() < expected * 1.1


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_be_computed_otherwise_is_refused_before_any_work(name, tmp_path):
    built(name, REFUSED[name], tiny_tokenizer()).save_pretrained(tmp_path / "model")
    with pytest.raises(InputError, match=r"\A.*would not be as in transformers.*\Z"):
        train(tmp_path / "model", tiny_tokenizer(), examples(), CONFIG, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] in ([], [".lock"])


@pytest.mark.parametrize("what", FOREIGN)
def test_a_damaged_or_foreign_folder_is_refused_in_a_sentence_and_runs_no_code(
    what, tmp_path, monkeypatch
):
    folder = tmp_path / "model"
    tiny_model().save_pretrained(folder)
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    for name, content in FOREIGN[what].items():
        if isinstance(content, dict):
            row = json.loads((folder / name).read_text()) | content
            content = json.dumps({k: v for k, v in row.items() if v is not None})
        damage(folder / name, content)
    with pytest.raises(S1Error, match=r"\A.+\Z"):  # in one line
        train(folder, tiny_tokenizer(), examples(), CONFIG, tmp_path / "out")
    assert not (tmp_path / "ran").exists()


def test_generation_settings_that_contradict_each_other_do_not_lose_a_training(tmp_path):
    tiny_model().save_pretrained(tmp_path / "model")
    path = tmp_path / "model" / "generation_config.json"
    path.write_text(json.dumps({"temperature": 0.6, "top_p": 0.9, "eos_token_id": [1, 9]}))
    result = train(tmp_path / "model", tiny_tokenizer(), examples(), CONFIG, tmp_path / "out")
    saved = json.loads((result.path / "generation_config.json").read_text())
    assert saved["eos_token_id"] == [tiny_tokenizer().eos_token_id, 1, 9]


def inputs(tokens: int, hidden: int, vocab: int, ignored: int) -> tuple[Any, Any, Any]:
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(tokens, hidden, generator=generator, requires_grad=True)
    weight = torch.randn(vocab, hidden, generator=generator, requires_grad=True)
    targets = torch.randint(0, vocab, (tokens,), generator=generator)
    targets[::ignored] = -100
    return states, weight, targets


@pytest.mark.parametrize(("chunk", "scale"), [(1, 1), (7, 1), (1000, 1), (8, 1e4)])
@pytest.mark.parametrize("ignored", [3, 1])  # every third, or all: a row that teaches nothing
def test_value_and_gradients_are_those_of_torch(chunk, scale, ignored):
    states, weight, targets = inputs(37, 16, 50, ignored)
    logits = scale * states @ weight.T  # large ones neither overflow nor vanish
    expected = torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
    got = summed_loss(scale * states, weight, targets, chunk)
    torch.testing.assert_close(got, expected)
    slopes = (torch.autograd.grad(loss / 3, (states, weight)) for loss in (got, expected))
    for ours, theirs in zip(*slopes, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5 * scale)


def test_no_more_than_a_chunk_of_logits_ever_exists():
    sizes = []

    class Sizes(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None):
            out = func(*args, **(kwargs or {}))
            values = out if isinstance(out, tuple | list) else (out,)
            sizes.extend(value.numel() for value in values if isinstance(value, torch.Tensor))
            return out

    states, weight, targets = inputs(600, 4, 500, 3)
    with Sizes():
        summed_loss(states, weight, targets, chunk=10).backward()
    assert max(sizes) < 600 * 500 / 10
