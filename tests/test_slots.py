"""The machines in tensors do what `Machine` does: token for token under greedy decoding, equal in
distribution under sampling, however an engine schedules, drops and moves its rows."""

import random
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.stats import chi2_contingency

from s1core.backends.base import uniforms
from s1core.errors import BackendError
from s1core.forcing import Budget
from s1core.forcing.budget import Machine, rules
from s1core.serving.slots import Slots, replay, uniform
from s1core.serving.table import ANSWER, COLUMNS, THINKING, UNKNOWN, program
from s1core.templates import resolve
from tests.helpers import tiny_tokenizer

TOKENIZER = tiny_tokenizer()
V = len(TOKENIZER)
LINES = torch.tensor([TOKENIZER.decode([i]).endswith("\n") for i in range(V)])
GREEDY = SimpleNamespace(temperature=0.0, top_p=1.0, top_k=0, min_p=0.0)


def compiled(budget, template="s1"):
    return rules(budget, resolve(template, TOKENIZER), TOKENIZER)


class Model:
    """Logits as a function of the context; `bias` makes stops and headers as frequent as wanted."""

    def __init__(self, seed, bias, favoured):
        self.seed, self.bias, self.favoured = seed, bias, favoured

    def __call__(self, context):
        own = random.Random(f"{self.seed}:{context[-3:]}:{len(context)}").getrandbits(32)
        logits = np.random.default_rng(own).normal(size=V).astype(np.float32)
        logits[self.favoured] += self.bias
        return torch.from_numpy(logits)


def by_machine(model, rules_, prompt, context, pick=lambda logits: int(logits.argmax())):
    machine = Machine(rules_, prompt, context)
    machine.start()
    while not machine.finished:
        logits = model([*prompt, *machine.token_ids])
        if machine.suppress:
            logits[list(machine.stops)] = -torch.inf
        machine.take([pick(logits)])
    return machine


class Engine:
    """A serving engine that schedules at random: few slots, prompts in pieces, rows dropped."""

    def __init__(self, slots, chance, sample=lambda row, request: int(row.argmax())):
        self.slots = Slots(slots, 400, LINES, kept=64)
        self.free, self.chance, self.sample = list(range(slots)), chance, sample

    def run(self, requests):
        waiting, running = list(requests), {}
        while waiting or running:
            while waiting and self.free and (not running or self.chance.random() < 0.7):
                self.admit(waiting.pop(0), running)
            self.flush(running)
            rows = [s for s in running if self.chance.random() < 0.8] or list(running)
            self.chance.shuffle(rows)
            self.step(running, rows)
            for slot in list(running):
                request = running[slot]
                ended = request.out and request.out[-1] in request.ends
                if ended or len(request.prompt) + len(request.out) >= request.context:
                    del running[slot]
                    self.free.append(slot)
                elif self.chance.random() < 0.03:
                    del running[slot]
                    self.free.append(slot)
                    waiting.insert(0, request)

    def admit(self, request, running):
        slot = self.free.pop(self.chance.randrange(len(self.free)))
        self.put(slot, request, len(request.prompt) + len(request.out))
        request.read = self.chance.choice([0, 0, (len(request.prompt) + len(request.out)) // 2])
        running[slot] = request

    def put(self, slot, request, total):
        self.slots.put(slot, request.told, len(request.prompt), total, request.sampling)

    def flush(self, running):
        self.slots.flush(lambda slots, at, width: self.tokens(running, slots, width))

    def tokens(self, running, slots, width):
        rows = [[*running[s].prompt, *running[s].out] for s in slots]
        return torch.tensor([[*row, *[7] * width][:width] for row in rows])

    def step(self, running, rows):
        said = [[*running[s].prompt, *running[s].out] for s in rows]
        # A prompt that is read in pieces shows logits of its middle, which nobody samples from.
        seen = [ids[: running[s].read] or ids for s, ids in zip(rows, said, strict=True)]
        logits = torch.stack([running[s].model(ids) for s, ids in zip(rows, seen, strict=True)])
        lengths, last = np.array([len(ids) for ids in seen]), torch.tensor([i[-1] for i in seen])
        made = self.apply(logits, np.array(rows), lengths, last)
        for row, slot in enumerate(rows):
            request = running[slot]
            if request.read:
                request.read = 0
            elif self.chance.random() < 0.05:
                pass  # decided and thrown away: the position is asked for again
            else:
                request.out.append(self.sample(made[row], request))

    def apply(self, logits, rows, lengths, last):
        at, long = torch.tensor(rows), torch.tensor(lengths)
        return self.slots.step(logits, rows, at, long, last, lengths)


def request(model, budget, prompt, context, key, template="s1", sampling=GREEDY, **options):
    own = compiled(budget, template)
    machine = Machine(own, prompt, context)
    told = program(own, machine.room, own.max_answer, key=key, **options)
    row = plain(model, prompt, context, key, ends=set(own.eos_ids), told=told)
    return SimpleNamespace(**vars(row) | {"rules": own, "sampling": sampling, "machine": machine})


def plain(model, prompt, context, key, ends=frozenset([2]), told=None):
    asked = {"model": model, "prompt": prompt, "context": context, "key": key, "ends": ends}
    return SimpleNamespace(**asked, told=told, out=[], sampling=GREEDY)


def check_plain(rows) -> None:
    """Requests of 40 tokens at most, without a budget, are what greedy decoding makes of them."""
    for row in rows:
        expected = list(row.prompt)
        while len(expected) < 40 and expected[-1] != 2:
            expected.append(int(row.model(expected).argmax()))
        assert row.out == expected[len(row.prompt) :]


def check_forced(rows, slots) -> None:
    """Requests with a budget are what the machine makes of them, by itself."""
    for row in rows:
        expected = by_machine(row.model, row.rules, row.prompt, row.context)
        replay(row.machine, row.out, slots.dropped([row.key])[row.key])
        for name in ("segments", "waits_used", "outcome", "finish_reason", "finished"):
            assert getattr(row.machine, name) == getattr(expected, name), name


def random_budget(chance):
    most = chance.choice([0, 1, 5, 20, 60])
    return Budget(
        max_thinking=most,
        num_ignore=chance.randrange(5),
        min_thinking=chance.choice([0, 0, most // 2, most]),
        ignore_str=chance.choice(["Wait", "", "Hmm, wait", ("Wait", "Alternatively", "")]),
        answer_cue=chance.choice(["", "Final Answer:"]),
        max_answer=chance.choice([1, 2, 8, 20]),
    )


@pytest.mark.parametrize("template", ["s1", "qwen3"])
@pytest.mark.parametrize("seed", range(12))
def test_greedy_rows_are_those_of_the_machine(seed, template):
    chance = random.Random(f"{seed}{template}")
    some = [(random_budget(chance), chance.randrange(30, 120)) for _ in range(6)]
    bias = chance.choice([0.0, 2.0, 4.0])
    own = resolve(template, TOKENIZER)
    wait = TOKENIZER.encode("Wait")
    favoured = [*own.end_of_thinking_ids, *own.think_end_ids[:2], *wait]
    requests = []
    for key, (budget, context) in enumerate(some, start=1):
        text = "Use 3 7 " * chance.randrange(1, 3) + chance.choice(["yes", "\n"])
        prompt, model = TOKENIZER.encode(text), Model(f"{seed}:{key}", bias, favoured)
        requests.append(request(model, budget, prompt, context, key, template))
    others = [plain(Model(f"p{seed}:{i}", 0.5, [2]), [9, 11], 40, 0) for i in range(3)]
    every = [*requests, *others]
    chance.shuffle(every)
    engine = Engine(3, chance)
    engine.run(every)
    check_plain(others)
    check_forced(requests, engine.slots)


def test_random_numbers_are_those_of_every_backend():
    seeds, draws = np.arange(0, 2**63 - 1, 2**59), np.arange(16)
    made = uniform(torch.tensor(seeds), torch.tensor(draws))
    assert made.tolist() == list(uniforms(seeds, draws))


class Few:
    """Logits over a handful of ids, stops among them, as a function of the last token alone."""

    ids = (0, 1, 2, 30, 31, 32, 111)

    def __init__(self, seed):
        self.table = np.random.default_rng(seed).normal(0, 1, (V, len(self.ids)))

    def __call__(self, context):
        logits = torch.full((V,), -torch.inf)
        logits[list(self.ids)] = torch.from_numpy(self.table[context[-1]]).float()
        return logits


def truncated(logits, how):
    """A distribution as vLLM samples from it: temperature, min-p, top-k, then top-p."""
    ids = np.flatnonzero(np.isfinite(logits.numpy()))
    share = np.exp(logits.numpy()[ids].astype(float) / how.temperature - logits.max().item())
    share[share < how.min_p * share.max()] = 0
    order = np.argsort(-share)
    if how.top_k > 0:
        share[order[how.top_k :]] = 0
    share /= share.sum()
    before = share[order].cumsum() - share[order]
    share[order[before >= how.top_p]] = 0
    return ids, share / share.sum()


HOW = [(0.7, 1.0, 0, 0.0), (1.3, 0.8, 0, 0.0), (1.0, 1.0, 3, 0.0), (1.0, 0.9, 5, 0.05)]


@pytest.mark.parametrize("how", HOW)
def test_sampled_rows_have_the_distribution_of_the_machine(how):
    """Whole outputs of the machine and of the slots, counted: one cannot tell them apart."""
    how = SimpleNamespace(**dict(zip(GREEDY.__dict__, how, strict=True)))
    budget = Budget(4, num_ignore=1, ignore_str=("", "Wait"), max_answer=1, answer_cue="")
    model, prompt, context, many = Few(3), [30, 31], 60, 1000
    numbers = np.random.default_rng(5)

    def pick(logits):
        if logits.max() > 1e6:
            return int(logits.argmax())
        ids, share = truncated(logits, how)
        return int(numbers.choice(ids, p=share))

    asked = (model, budget, prompt, context)
    requests = [request(*asked, key, sampling=how, seed=key * 7919) for key in range(1, many + 1)]
    engine = Engine(512, random.Random(7), sample=lambda row, request: pick(row))
    engine.slots = Slots(512, 400, LINES, kept=2 * many)
    engine.run(requests)
    dropped = engine.slots.dropped([r.key for r in requests])
    for made in requests:
        replay(made.machine, made.out, dropped[made.key])
    own, counts = compiled(budget), []
    by_hand = [by_machine(model, own, prompt, context, pick) for _ in range(many)]
    for machines in (by_hand, [r.machine for r in requests]):
        counts.append(Counter((*m.token_ids, m.waits_used, m.outcome) for m in machines))
    common = [key for key, n in (counts[0] + counts[1]).items() if n >= 16]
    table = [[count[key] for key in common] for count in counts]
    table = [[*row, many - sum(row) + 1] for row in table]
    assert len(common) > 8 and chi2_contingency(table).pvalue > 1e-4
    assert {m.waits_used for m in (r.machine for r in requests)} == {0, 1}


def test_ids_that_the_machine_did_not_force_are_refused():
    machine = Machine(compiled(Budget(0)), TOKENIZER.encode("yes"), 100)
    with pytest.raises(BackendError, match="where another was forced"):
        replay(machine, [40], [])


def test_ids_outside_the_tokenizer_are_never_sampled():
    slots = Slots(1, 100, torch.zeros(V + 9, dtype=torch.bool), torch.arange(V, V + 9))
    slots.put(0, program(compiled(Budget(9)), 9, 9), 3, 3, GREEDY)
    slots.flush(lambda some, at, width: torch.zeros(1, width))
    logits = torch.zeros(1, V + 9)
    logits[0, V + 3] = 9
    three = torch.tensor([3])
    made = slots.step(logits, np.array([0]), torch.tensor([0]), three, three, np.array([3]))
    assert made.argmax() < V and (made[0, V:] == -torch.inf).all()


OPENED = [("s1", "<|im_start|>think\n", "<|im_start|>answer\n")]
OPENED += [("qwen3", "<think>\n", "</think>\n\n")]


@pytest.mark.parametrize(("template", "opens", "closes"), OPENED)
@pytest.mark.parametrize("before", ["", "yes", "<|im_end|>"])
def test_the_prompt_says_whether_thinking_is_open(template, opens, closes, before):
    """Asked of a server: a template may open thinking, close it, or leave it to the model."""
    own, opening = compiled(Budget(9), template), TOKENIZER.encode(opens)
    turn = "<|im_end|>\n<|im_start|>assistant\n"
    prompts = {
        before + turn + opens: [],
        before + turn + opens + "yes": [],
        opens + before + closes + turn: opening,
        before + opens + turn: opening,
        before + turn: opening,
        before + turn + opens + "\n" + closes: None,
        before + turn + opens + "yes" + closes + "no": None,
    }
    slots = Slots(len(prompts), 100, LINES)
    told = program(own, 9, 9, phase=UNKNOWN, opening=opening)
    said = [TOKENIZER.encode(prompt) for prompt in prompts]
    for slot, ids in enumerate(said):
        slots.put(slot, told, len(ids), len(ids), GREEDY)
    slots.flush(
        lambda some, at, width: torch.tensor([[*ids, *[1] * width][:width] for ids in said])
    )
    for row, forced in zip(slots.state.tolist(), prompts.values(), strict=False):
        state = dict(zip(COLUMNS, row, strict=True))
        assert state["phase"] == (ANSWER if forced is None else THINKING)
        assert told["plan"][state["at"] : state["until"]] == (forced or [])
