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

FIGURE = re.compile(r'(?s)(<figure class="s1-figure" id="[^"]*" data-runs="([^"]*)">.*?)</figure>')
RUN_NAME = re.compile(r"\b[a-z]+-[0-9a-f]{12}\b")
FOLDER = FileSystemLoader(Path(__file__).parents[1] / "_templates")
STAMP = Environment(loader=FOLDER, autoescape=True, trim_blocks=True).get_template("stamp.html")


def setup(app):
    app.connect("doctree-resolved", _stamp_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _stamp_page(app, doctree, docname):
    path = Path(app.env.doc2path(docname))
    if path.suffix != ".ipynb" or not (stamp := _load(path)["metadata"].get("s1core")):
        return
    results, up = Path(app.srcdir) / "_results", "../" * docname.count("/")
    shown = {}  # the folders of all runs on the page
    for node in doctree.findall(nodes.raw):
        if node.get("format") == "html" and "s1-figure" in node.astext():
            stamped = partial(_stamp_figure, stamp, results, up, docname, shown)
            text = FIGURE.sub(stamped, node.astext())
            node.children, node.rawsource = [nodes.Text(text)], text
    under = STAMP.module.page(stamp, f"{up}_sources/{docname}.ipynb")
    doctree += nodes.raw("", under, format="html")
    words = sum(len(node.astext().split()) for node in doctree.findall(nodes.paragraph))
    took = [_load(folder / "provenance.json").get("wall_seconds") or 0 for folder in shown.values()]
    over = STAMP.module.times(max(round(words / 200), 1), len(took), sum(took))
    place = doctree.next_node(nodes.title)
    place.parent.insert(1, nodes.raw("", over, format="html"))


def _stamp_figure(stamp, results, up, docname, shown, match):
    folders = {}
    for name in html.unescape(match.group(2)).split():
        folders[name], lacking = _find(name, stamp["profile"], results)
        if lacking:
            # Warnings are errors: a figure without a history is not published.
            said = f"a figure shows {name}, but {lacking} is missing"
            logging.getLogger(__name__).warning(said, location=docname)
            return match.group()
    shown.update(folders)
    pairs = zip(folders.items(), _apart([*folders.values()]))
    runs = [_run(*named, results, up) | {"apart": differing} for named, differing in pairs]
    under = STAMP.module.figure(stamp, _in_short([*folders.values()]) if runs else [], runs)
    return f"{match.group(1)}{under}</figure>"


def _find(name, profile, results):
    """The folder of a run, by its id or one of its files, and what a stamp does not find of it."""
    for path in (results / profile / name, results / name):
        if ".." not in Path(name).parts and path.exists():
            folder = path if path.is_dir() else path.parent
            needed = (folder / "manifest.json", folder / "provenance.json")
            return folder, next((f"{folder.name}/{p.name}" for p in needed if not p.is_file()), "")
    return None, "the run"


def _in_short(folders):
    """One line about all runs of a figure: model, seed, n, hardware, wall time, date."""
    chain = [run for folder in folders for run in _behind(folder)]
    settings = [_load(run / "manifest.json").get("settings", {}) for run in chain]
    where = [_load(folder / "provenance.json") for folder in folders]
    models = {str(s["model"]).partition("@")[0] for s in settings if s.get("model")}
    tuned = ", fine-tuned" if any(run.name.startswith("sft-") for run in chain) else ""
    seeds = {s.get("seed", s.get("sft", {}).get("seed")) for s in settings} - {None}
    made = [_load(folder / "finished.json") for folder in folders]
    counts = [n for run in made for k, n in run.items() if k in {"generations", "traces"}]
    dates = sorted({str(facts["finished"])[:10] for facts in where if "finished" in facts})
    seconds = [facts.get("wall_seconds") for facts in where]
    by = list(dict.fromkeys(name for settings in _apart(folders) for name in settings))[:3]
    runs = "1 run" if len(folders) == 1 else f"{len(folders)} runs"
    runs += f" by {', '.join(by).replace('_', ' ')}" if by else ""
    return [
        *([f"{', '.join(sorted(models))}{tuned}"] if models else []),
        *([f"seed {', '.join(map(str, sorted(seeds, key=str)))}"] if seeds else []),
        f"n = {sum(counts):,} generations in {runs}" if counts else runs,
        *sorted({_machine(facts) for facts in where} - {""}),
        STAMP.module.duration(sum(s for s in seconds if isinstance(s, (int, float)))),
        *(dates if len(dates) < 2 else [f"{dates[0]} to {dates[-1]}"]),
    ]


def _apart(folders):
    """For each run the settings in which it differs from others of its kind, such as the budget."""

    def flat(settings):
        for name, value in settings.items():
            yield from flat(value) if isinstance(value, dict) else [(name, value)]

    all_of = [dict(flat(_load(f / "manifest.json").get("settings", {}))) for f in folders]
    names = dict.fromkeys(name for settings in all_of for name in settings)
    kinds = {folder.name.partition("-")[0] for folder in folders}
    told = [{json.dumps(settings.get(n)) for settings in all_of} for n in names]
    differ = [n for n, values in zip(names, told) if len(values) > 1 and len(kinds) == 1]
    return [{n: s[n] for n in differ if n in s and len(str(s[n])) < 60} for s in all_of]


def _behind(folder):
    """A run and those that it was made from, as far as they are among the results."""
    found = [folder]
    for run in found:  # it grows while it is read
        text = json.dumps(_load(run / "manifest.json").get("settings", {}))
        named = {folder.parent / name for name in RUN_NAME.findall(text)}
        found += [run for run in named if run.is_dir() and run not in found]
    return found


def _machine(facts):
    if "processor" not in facts:
        return ""
    gpu = facts.get("gpu") or facts.get("gpus")
    cores = f"{facts['processor']}, {facts.get('cpus', '?')} cores"
    return f"{gpu}, {cores}" if gpu else cores


def _run(name, folder, results, up):
    """One run: what it was asked, where and when it ran, and links to its files in the site."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    links = [(up + path.relative_to(results.parent).as_posix(), path.name) for path in files]
    asked, where = _load(folder / "manifest.json"), _load(folder / "provenance.json")
    facts = {**asked.get("settings", {}), **_load(folder / "finished.json")}
    return dict(name=name, facts=facts, where=where, machine=_machine(where), links=links)


def _load(path):
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
