"""Write under every figure, and under every page, where it came from.

Dates, times and machines are read from the manifests of the runs when the book is built, so that
notebooks stay byte-identical. The markup is `_templates/stamp.html`, which escapes what they say.
"""

import html
import json
import re
from functools import partial
from pathlib import Path

from docutils import nodes
from jinja2 import Environment, FileSystemLoader
from sphinx.util import logging

from s1lab.runs import RunStore

FIGURE = re.compile(r'(?s)(<figure class="s1-figure" id="[^"]*" data-runs="([^"]*)">.*?)</figure>')
RUN_NAME = re.compile(r"\b[a-z]+-[0-9a-f]{12}\b")
FOLDER = FileSystemLoader(Path(__file__).parents[1] / "_templates")
STAMP = Environment(loader=FOLDER, autoescape=True, trim_blocks=True).get_template("stamp.html")


def setup(app):
    app.connect("doctree-resolved", _stamp_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _stamp_page(app, doctree, docname):
    path = Path(app.env.doc2path(docname))
    notebook = json.loads(path.read_text(encoding="utf-8")) if path.suffix == ".ipynb" else {}
    if not (stamp := notebook.get("metadata", {}).get("s1core")):
        return
    results, up = Path(app.srcdir) / "_results", "../" * docname.count("/")
    folders = [*sorted(results.glob("*/")), results / stamp["profile"]]  # the page's own win
    stores = [RunStore(folder, read_only=True) for folder in folders]
    known = {run.id: run for store in stores for run in store.runs()}
    shown = {}  # all runs on the page
    for node in doctree.findall(nodes.raw):
        if node.get("format") == "html" and "s1-figure" in node.astext():
            stamped = partial(_stamp_figure, stamp, known, up, docname, shown)
            text = FIGURE.sub(stamped, node.astext())
            node.children, node.rawsource = [nodes.Text(text)], text
    under = STAMP.module.page(stamp, f"{up}_sources/{docname}.ipynb")
    doctree += nodes.raw("", under, format="html")
    words = sum(len(node.astext().split()) for node in doctree.findall(nodes.paragraph))
    took = sum(run.provenance()["wall_seconds"] for run in shown.values())
    over = STAMP.module.times(max(round(words / 200), 1), len(shown), took)
    place = doctree.next_node(nodes.title)
    place.parent.insert(1, nodes.raw("", over, format="html"))


def _stamp_figure(stamp, known, up, docname, shown, match):
    names = html.unescape(match.group(2)).split()
    for name in names:
        lacking = "the run"
        if run := known.get(name):
            files = {"manifest.json": run.settings, "provenance.json": run.provenance()}
            lacking = next((f"{name}/{file}" for file, found in files.items() if not found), "")
        if lacking:
            # Warnings are errors: a figure without a history is not published.
            said = f"a figure shows {name}, but {lacking} is missing"
            logging.getLogger(__name__).warning(said, location=docname)
            return match.group()
    runs = [known[name] for name in names]
    shown.update(zip(names, runs))
    told = [_told(run, up) | {"apart": apart} for run, apart in zip(runs, _apart(runs))]
    of = ", ".join(dict.fromkeys(run.path.parent.name for run in runs)) or stamp["profile"]
    short = _in_short(runs, known) if runs else []
    under = STAMP.module.figure(stamp | {"profile": of}, short, told)
    return f"{match.group(1)}{under}</figure>"


def _in_short(runs, known):
    """One line about all runs of a figure: model, seed, n, hardware, wall time, date."""
    chain = [one for run in runs for one in _behind(run, known)]
    settings, where = [run.settings for run in chain], [run.provenance() for run in runs]
    models = {str(s["model"]).partition("@")[0] for s in settings if s.get("model")}
    tuned = ", fine-tuned" if any(run.kind == "sft" for run in chain) else ""
    seeds = {s.get("seed", s.get("sft", {}).get("seed")) for s in settings} - {None}
    made = [facts for run in runs for facts in run.summary().items()]
    counts = [n for name, n in made if name in {"generations", "traces"}]
    dates = sorted({str(facts["finished"])[:10] for facts in where if "finished" in facts})
    by = list(dict.fromkeys(name for settings in _apart(runs) for name in settings))[:3]
    number = "1 run" if len(runs) == 1 else f"{len(runs)} runs"
    number += f" by {', '.join(by).replace('_', ' ')}" if by else ""
    return [
        *([f"{', '.join(sorted(models))}{tuned}"] if models else []),
        *([f"seed {', '.join(map(str, sorted(seeds, key=str)))}"] if seeds else []),
        f"n = {sum(counts):,} generations in {number}" if counts else number,
        *sorted({_machine(facts) for facts in where} - {""}),
        STAMP.module.duration(sum(facts["wall_seconds"] for facts in where)),
        *(dates if len(dates) < 2 else [f"{dates[0]} to {dates[-1]}"]),
    ]


def _apart(runs):
    """For each run the settings in which it differs from others of its kind, such as the budget."""

    def flat(settings):
        for name, value in settings.items():
            yield from flat(value) if isinstance(value, dict) else [(name, value)]

    all_of = [dict(flat(run.settings)) for run in runs]
    names = dict.fromkeys(name for settings in all_of for name in settings)
    told = [{json.dumps(settings.get(n)) for settings in all_of} for n in names]
    alike = len({run.kind for run in runs}) == 1
    differ = [n for n, values in zip(names, told) if len(values) > 1 and alike]
    return [{n: s[n] for n in differ if n in s and len(str(s[n])) < 60} for s in all_of]


def _behind(run, known):
    """A run and those that it was made from, as far as they are among the results."""
    found = [run]
    for one in found:  # it grows while it is read
        named = dict.fromkeys(RUN_NAME.findall(json.dumps(one.settings)))
        found += [known[name] for name in named if name in known and known[name] not in found]
    return found


def _machine(facts):
    if "processor" not in facts:
        return ""
    gpu = facts.get("gpu") or facts.get("gpus")
    cores = f"{facts['processor']}, {facts.get('cpus', '?')} cores"
    return f"{gpu}, {cores}" if gpu else cores


def _told(run, up):
    """One run: what it was asked, where and when it ran, and links to its files in the site."""
    files, root = (
        sorted(path for path in run.path.rglob("*") if path.is_file()),
        run.path.parents[2],
    )
    links = [(up + path.relative_to(root).as_posix(), path.name) for path in files]
    facts, where = {**run.settings, **run.summary()}, run.provenance()
    return dict(name=run.id, facts=facts, where=where, machine=_machine(where), links=links)
