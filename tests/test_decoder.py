"""The model in the page: token for token what Python decodes, and usable by everyone.

The page is opened as a file, with the scripts beside it: no server, no request. What the whole book
does with it, in every view, is in `test_book_browser.py`.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from s1core.backends.hf import HFBackend
from s1core.forcing import Budget, Machine, generate
from s1core.forcing.budget import Rules
from s1core.grading import countdown, grade
from s1core.records import Problem
from s1lab import experiments, pocket, profiles
from s1lab.book import decoder
from s1lab.evaluation import wilson
from s1lab.evaluation.voting import same_answer
from s1lab.pipeline import Pipeline
from s1lab.runs import RunStore
from tests.browsing import Visit, chromium
from tests.helpers import CHECKOUT, DATA, cases

pytestmark = pytest.mark.browser
SCRIPTS = ("model", "machine", "worker", "page")
STORE = RunStore(CHECKOUT / "results" / "laptop", read_only=True)
MAX_ANSWER = profiles.load("laptop").evaluation.max_answer
# A cap in the middle of a line, caps with Waits, refusals of every kind up to a full budget.
BUDGETS = (
    Budget(21, max_answer=MAX_ANSWER),
    Budget(90, 2, max_answer=MAX_ANSWER),
    Budget(130, 1, ignore_str="Alternatively", max_answer=MAX_ANSWER),
    Budget(170, 1, ignore_str="", max_answer=MAX_ANSWER),
    Budget(200, 3, ignore_str="Hmm", max_answer=MAX_ANSWER),
)
browser = pytest.fixture(scope="module")(chromium)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The controls alone, as a file: its address."""
    folder = tmp_path_factory.mktemp("decoder")
    shutil.copytree(CHECKOUT / "book" / "_static", folder / "_static")
    decoder.write_weights(folder / "_static")
    sources = "".join(f'<script src="_static/decoder-{name}.js"></script>' for name in SCRIPTS)
    head = '<meta charset="utf-8"><title>page</title><link rel="stylesheet" href="_static/'
    (folder / "page.html").write_text(
        f'<!doctype html><html lang="en" data-theme="light">{head}book.css">'
        f'<link rel="stylesheet" href="_static/decoder.css"><main><h1>Page</h1><h2>Decode</h2>'
        f"{decoder.controls(STORE)}</main>{sources}</html>"
    )
    return (folder / "page.html").as_uri()


@pytest.fixture(scope="module")
def files(page: str) -> Path:
    return Path(page.removeprefix("file://")).parent


class Local(Visit):
    """A page from a file: nothing but files beside it may be asked for."""

    def _tell(self, wrong: bool, what: object, about: object) -> None:
        super()._tell(wrong and not str(about).startswith("file:///"), what, about)


@pytest.fixture
def visit(browser: Any, page: str) -> Iterator[Visit]:
    with Local(browser, page, "light") as opened:
        opened.page.set_default_timeout(60_000)
        yield opened
        assert opened.complaints == []


@pytest.fixture(scope="module")
def inside(browser: Any, page: str) -> Iterator[Any]:
    """The page with the worker's functions at hand as `w`, for what is asked of them alone."""
    with Local(browser, page, "light") as opened:
        opened.page.add_script_tag(url=page.replace("page.html", f"_static/{decoder.SCRIPT}"))
        opened.page.evaluate("window.w = decoderWorker(decoderShipped), true")
        yield opened.page
        assert opened.complaints == []


def puzzle(problem: Problem) -> dict[str, Any]:
    numbers, target = countdown.read_question(problem.question)
    return {"numbers": list(numbers), "target": target, "question": problem.question}


def asked(budget: Budget, temperature: float = 0.0, seed: int = 0) -> dict[str, Any]:
    named = {"budget": budget.max_thinking, "waits": budget.num_ignore}
    return {**named, "ignore": budget.ignore_str, "temperature": temperature, "seed": seed}


COMPLETE = "given => given.map((one) => w.complete(...one))"


def test_greedy_is_token_for_token_what_transformers_gives(inside):
    problems = pocket.evaluation_problems(500)[-110:]  # none of those that the page offers
    budgets = [BUDGETS[place % len(BUDGETS)] for place in range(len(problems))]
    backend = HFBackend.from_pretrained("pocket-s1")
    theirs = list(generate(backend, problems, budgets))
    pairs = [(puzzle(p), asked(b), 0) for p, b in zip(problems, budgets, strict=True)]
    ours = inside.evaluate(COMPLETE, pairs)
    assert [made["ids"] for made in ours] == [list(made.token_ids()) for made in theirs]
    assert [made["outcome"] for made in ours] == [made.outcome for made in theirs]
    assert [made["waitsUsed"] for made in ours] == [made.waits_used for made in theirs]
    graded = [grade(p, made, "countdown") for p, made in zip(problems, theirs, strict=True)]
    assert [made["right"] for made in ours] == [verdict.correct for verdict in graded]
    assert {made.outcome for made in theirs} == {"ended", "truncated"}
    assert sum(made.waits_used for made in theirs) > 40 and any(made["right"] for made in ours)


def test_with_the_same_seed_it_repeats_the_runs_behind_the_curve(inside):
    pipeline = Pipeline(profiles.load("laptop"), STORE)
    condition = experiments.waits(pipeline.profile)[1]
    table = pipeline.run(condition).read_table("grades.csv")
    kept = {(row["problem_key"], row["sample"]): row for row in table}
    problems = pipeline.problems("countdown")[:12]
    settings = asked(condition.budget, temperature=1.0)
    pairs = [(problem, sample) for problem in problems for sample in (0, 2)]
    made = inside.evaluate(COMPLETE, [[puzzle(p), settings, sample] for p, sample in pairs])
    for (problem, sample), ours in zip(pairs, made, strict=True):
        row = kept[problem.key, str(sample)]
        assert str(ours["thinkingTokens"]) == row["thinking_tokens"], problem.question
        assert str(ours["answerTokens"]) == row["answer_tokens"]
        assert ours["right"] == (row["status"] == "correct")
        assert ours["answer"] == row["extracted"] * (row["status"] != "truncated")


def test_weights_keep_nineteen_bits_and_the_whole_fits_three_megabytes(files):
    weights = np.random.default_rng(0).normal(size=(7, 64)).astype(np.float32)
    weights[3] = 0
    rows, columns, scales, digits = decoder.packed(weights)
    codes = np.frombuffer(digits.encode("ascii"), np.uint8).astype(int)
    levels = (codes - 35 - (codes > 92)).reshape(rows, columns, 3) @ [91**2, 91, 1]
    error = np.abs((levels - (91**3 - 1) // 2) * np.array(scales)[:, None] - weights)
    assert (error <= 1.4e-6 * np.abs(weights).max(axis=1, keepdims=True)).all()
    added = [*files.glob("_static/decoder*"), files / "page.html"]
    assert sum(path.stat().st_size for path in added) < 3_000_000


def test_the_machine_is_that_of_the_package(inside):
    """Random budgets and random tokens, stops and headers among them, cut at random places."""
    rng = np.random.default_rng(5)
    shared = {"endIds": [1, 30, 4], "newlineIds": [4], "endsLine": [4], "header": 1}
    cases, wanted = [], []
    for _ in range(400):
        context, strings = int(rng.integers(20, 60)), [[23], [], [24, 25]][: rng.integers(1, 4)]
        most, ignored, least, answer = (int(rng.integers(low, high)) for low, high in LIMITS)
        chosen = {"maxThinking": most, "numIgnore": ignored, "minThinking": min(least, most)}
        chosen |= {"maxAnswer": answer, "ignoreIds": strings, "cueIds": [[22, 12], []][ignored % 2]}
        rules = shared | chosen | {"stops": [0, 1, 2], "eosIds": [0, 2]}
        machine = Machine(_rules(rules), [5, 6, 4], context)
        steps, forced = [], [machine.start()]
        while not machine.finished:
            run = []
            for token in rng.choice([0, 1, 2, 4, 30, 40, 41, 42, 43], rng.integers(1, 5)):
                run.append(int(token))
                if run[-1] in machine.stops or len(run) == machine.room:
                    break
            steps.append(run)
            forced.append(machine.take(run))
        cases.append([rules, context, steps])
        wanted.append([forced, machine.token_ids, machine.outcome, machine.finish_reason])
        wanted[-1] += [machine.waits_used, machine.thinking_tokens, machine.draws]
    made = inside.evaluate((DATA / "book" / "machines.js").read_text(), cases)
    assert made == json.loads(json.dumps(wanted))
    assert {one[2] for one in wanted} == {"ended", "truncated", "context"}


LIMITS = ((0, 30), (0, 4), (0, 12), (1, 8))


def _rules(given: dict[str, Any]) -> Rules:
    tuples = {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
    return Rules(
        *(given[name] for name in ("maxThinking", "numIgnore", "minThinking", "maxAnswer")),
        *(tuple(map(tuple, given["ignoreIds"])), tuples["endIds"], tuples["cueIds"]),
        *(tuples["newlineIds"], frozenset(given["stops"]), tuples["eosIds"], given["header"]),
        ends_line=lambda token: token in given["endsLine"],
    )


ANSWERS = cases("decoder")["answers"]


def test_answers_are_checked_and_votes_counted_as_in_python(inside):
    asked = {"numbers": [3, 7, 8], "target": 29, "question": "Use 3 7 8 to make 29"}
    said = inside.evaluate("([p, a]) => a.map((one) => w.tested.check(p, one))", [asked, ANSWERS])
    assert said == [countdown.check(asked["question"], answer) for answer in ANSWERS]
    votes = inside.evaluate("given => given.map(w.tested.ballot)", ANSWERS)
    same = same_answer("countdown")
    for first, ours in zip(ANSWERS, votes, strict=True):
        for second, theirs in zip(ANSWERS, votes, strict=True):
            assert (ours == theirs) == same(first, second), (first, second)
    for right, n in ((0, 20), (7, 20), (50, 50), (181, 320)):
        ours = inside.evaluate("given => decoderWilson(...given)", [right, n])
        wanted = wilson(right, n)
        assert [ours["low"], ours["high"]] == pytest.approx([wanted.low, wanted.high], abs=1e-12)


def part(visit: Visit, name: str) -> Any:
    return visit.page.locator(f"[data-part={name}]")


def opened(visit: Visit, page: str, fragment: str = "") -> None:
    """Come from a link: the model starts, and soon wants to stop."""
    visit.page.goto("about:blank")
    visit.page.goto(f"{page}#try{fragment}")


def until(visit: Visit, name: str, text: str) -> str:
    seen = "([name, text]) => document.querySelector(name).textContent.includes(text)"
    visit.page.wait_for_function(seen, arg=[f"[data-part={name}]", text])
    return part(visit, name).inner_text()


def test_a_reader_refuses_an_end_with_wait_and_the_answer_is_mended(visit, page):
    opened(visit, page)
    assert "✗" in until(visit, "status", "wants to stop")
    visit.page.get_by_role("button", name="Wait", exact=True).click()
    until(visit, "lines", "forced: Wait")
    until(visit, "status", "wants to stop")
    visit.page.get_by_role("button", name="let it answer").click()
    assert "✓ right" in until(visit, "status", "Answer (")
    assert "1 end refused" in part(visit, "status").inner_text()
    assert "forced: answer" in part(visit, "answer").text_content()
    link = part(visit, "link").input_value()
    said = part(visit, "lines").inner_text()
    assert "did=Wait.stop" in link and visit.page.url == link
    opened(visit, page, link.partition("#try")[2])  # the link repeats what was decided
    until(visit, "status", "Answer (")
    assert part(visit, "lines").inner_text() == said


def test_the_keyboard_alone_pauses_steps_cuts_and_refuses(visit, page):
    press = visit.page.keyboard.press
    opened(visit, page, "?pace=6")
    until(visit, "lines", "want")
    press("p")
    visit.page.wait_for_function("document.querySelector('[data-part=pause]').innerText == 'Go on'")
    before = int(part(visit, "used").inner_text().split()[0])
    press("t")
    used = "n => parseInt(document.querySelector('[data-part=used]').textContent) === n"
    visit.page.wait_for_function(used, arg=before + 1)
    assert part(visit, "next").locator("li").count() == 5
    press("c")
    assert "thinking was cut" in until(visit, "status", "Answer ")
    assert "forced: Final" in part(visit, "answer").text_content()
    opened(visit, page)
    for key, word in (("h", "Hmm"), ("a", "Alternatively"), ("n", "end refused")):
        until(visit, "status", "wants to stop")
        visit.page.wait_for_selector(".decoder-open")
        press(key)
        until(visit, "lines", f"forced: {word}")
    assert part(visit, "start").inner_text() == "Start again"


def test_a_vote_says_what_it_cost_and_a_run_lands_on_the_curve(visit):
    part(visit, "vote").click()
    said = until(visit, "voted", "It cost")
    assert "for 16 samples" in said and "of 16 samples are right" in said
    drawn = visit.page.locator("[data-part=curve] .decoder-point")
    before = drawn.count()
    visit.page.locator("[name=budget]").fill("32")
    part(visit, "many").select_option("20")
    part(visit, "run").click()
    said = until(visit, "points", "n = 20")
    assert "Budget 32, no Wait" in said and "Ours: 10.0 [8.0, 12.0]% at 30" in said
    assert drawn.count() == before + 1 == len(experiments.curve(profiles.load("laptop"))) + 1


def test_what_is_no_puzzle_is_told_in_a_sentence_and_a_hostile_link_changes_only_settings(
    visit, page
):
    for text, shown in (
        ("3 7", "Write two or three numbers"),
        ("Use 3 7 800 to make 29", "none above 199"),
        ("<img src=x onerror=alert(1)>", "Write two or three numbers"),
    ):
        visit.page.get_by_label("Puzzle", exact=True).fill(text)
        part(visit, "start").click()
        assert shown in part(visit, "fault").inner_text()
    evil = "%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E"
    opened(visit, page, f"?puzzle=3+7+8+29&budget={evil}&ignore={evil}&did={evil}.Wait&cut=x")
    visit.page.wait_for_function("document.querySelector('.decoder').hidden === false")
    assert visit.page.locator(".decoder img").count() == 0


def test_what_a_model_writes_is_text(visit, page, files):
    """A vocabulary of markup instead of words."""
    weights = files / "_static" / decoder.SCRIPT
    kept = weights.read_text()
    try:
        weights.write_text(kept.replace('"want"', '"<img src=x onerror=alert(1)>"'))
        opened(visit, page)
        until(visit, "lines", "<img src=x")
        until(visit, "status", "wants to stop")
    finally:
        weights.write_text(kept)
    assert visit.page.locator(".decoder img").count() == 0
