"""Write under every figure, and under every page, where it came from.

The stamp in an executed notebook holds what does not change between reruns (profile, source and
its hash, parameters, version). What does change (date, wall time, hardware) stays in the manifests
of the runs, and is read here, when the book is built. So notebooks stay byte-identical.
"""

import html
import json
import re
from pathlib import Path

from docutils import nodes
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)
FIGURE = re.compile(r'(<figure class="s1-figure"([^>]*)>.*?)</figure>', re.DOTALL)
RUN_NAME = re.compile(r"\b[a-z]+-[0-9a-f]{12}\b")
RUNS = re.compile(r'data-runs="([^"]*)"')


def setup(app):
    app.connect("doctree-resolved", _stamp_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _stamp_page(app, doctree, docname):
    path = Path(app.env.doc2path(docname))
    if path.suffix != ".ipynb":
        return
    stamp = json.loads(path.read_text(encoding="utf-8"))["metadata"].get("s1core")
    if not stamp:
        return
    results = Path(app.srcdir) / "_results"
    up = "../" * docname.count("/")
    for node in doctree.findall(nodes.raw):
        if node.get("format") == "html" and "s1-figure" in node.astext():
            text = FIGURE.sub(
                lambda match: _stamp_figure(match, stamp, results, up, docname), node.astext()
            )
            node.children = [nodes.Text(text)]
            node.rawsource = text
    doctree += nodes.raw("", _page_stamp(stamp, docname, up), format="html")


def _stamp_figure(match, stamp, results, up, docname):
    named = RUNS.search(match.group(2))
    names = html.unescape(named.group(1)).split() if named else []
    places = {name: _find(name, stamp["profile"], results) for name in names}
    for name, place in places.items():
        folder = place if place is None or place.is_dir() else place.parent
        lacking = "the run" if folder is None else _lacking(folder)
        if lacking:
            # Warnings are errors: a figure without a history is not published.
            LOGGER.warning("a figure shows %s, but %s is missing", name, lacking, location=docname)
            return match.group()
    folders = [place if place.is_dir() else place.parent for place in places.values()]
    line = " · ".join(html.escape(fact) for fact in _in_short(folders))
    source = (
        f"<b>{html.escape(stamp['profile'])}</b>{' · ' + line if line else ''} · "
        f"{html.escape(stamp['source'])} @ <code>{stamp['source_sha256'][:12]}</code>"
    )
    if not places:
        return (
            f'{match.group(1)}<p class="s1-provenance">{source} · '
            "drawn from values in the notebook itself</p></figure>"
        )
    rows = "".join(_run_row(name, place, results, up) for name, place in places.items())
    return (
        f'{match.group(1)}<details class="s1-provenance"><summary>{source}</summary>'
        f"<ul>{rows}</ul></details></figure>"
    )


def _lacking(folder):
    """What a stamp needs of a run and does not find."""
    for name in ("manifest.json", "provenance.json"):
        if not (folder / name).is_file():
            return f"{folder.name}/{name}"
    return ""


def _in_short(folders):
    """One line about all runs of a figure: model, seed, n, hardware, wall time, date."""
    if not folders:
        return []
    chain = {folder: _behind(folder) for folder in folders}
    settings = [_load(f / "manifest.json").get("settings", {}) for c in chain.values() for f in c]
    where = [_load(folder / "provenance.json") for folder in folders]
    models = {str(s["model"]).partition("@")[0] for s in settings if s.get("model")}
    tuned = any(folder.name.startswith("sft-") for c in chain.values() for folder in c)
    seeds = {s.get("seed", s.get("sft", {}).get("seed")) for s in settings} - {None}
    made = [_load(folder / "finished.json") for folder in folders]
    counts = [n for run in made for k, n in run.items() if k in {"generations", "traces"}]
    machines = {_machine(facts) for facts in where if "processor" in facts}
    dates = sorted({facts["finished"][:10] for facts in where if "finished" in facts})
    wall = sum(facts.get("wall_seconds", 0) for facts in where)
    return [
        *([f"{', '.join(sorted(models))}{', fine-tuned' if tuned else ''}"] if models else []),
        *([f"seed {', '.join(map(str, sorted(seeds)))}"] if seeds else []),
        *([f"n = {sum(counts):,} generations in {_runs(folders)}"] if counts else [_runs(folders)]),
        *sorted(machines),
        _duration(wall),
        *([dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"] if dates else []),
    ]


def _behind(folder):
    """A run and those that it was made from, as far as they are among the results."""
    found, waiting = [], [folder]
    while waiting:
        run = waiting.pop()
        if run in found or not run.is_dir():
            continue
        found.append(run)
        text = json.dumps(_load(run / "manifest.json").get("settings", {}))
        waiting += [folder.parent / name for name in RUN_NAME.findall(text)]
    return found


def _machine(facts):
    gpu = facts.get("gpu") or facts.get("gpus")
    cores = f"{facts['processor']}, {facts.get('cpus', '?')} cores"
    return f"{gpu}, {cores}" if gpu else cores


def _runs(folders):
    return "1 run" if len(folders) == 1 else f"{len(folders)} runs"


def _duration(seconds):
    if seconds < 90:
        return f"took {seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"took {minutes} min" if minutes < 90 else f"took {minutes / 60:.1f} h"


def _run_row(name, place, results, up):
    """One run: what it was asked, where and when it ran, and links to its files in the site."""
    folder = place if place.is_dir() else place.parent
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    links = ", ".join(
        f'<a href="{up}{html.escape(path.relative_to(results.parent).as_posix())}">'
        f"{html.escape(path.name)}</a>"
        for path in files
    )
    facts = "; ".join(html.escape(fact) for fact in _facts(folder))
    return f"<li><code>{html.escape(name)}</code> {facts}<br>{links}</li>"


def _find(name, profile, results):
    """A run by its id or by the path of one of its files, below `results/<profile>/`."""
    if ".." in Path(name).parts:
        return None
    for base in (results / profile, results):
        if (base / name).exists():
            return base / name
    return None


def _facts(folder):
    """What a reader asks of a run, in order; what a run did not record is left out."""
    settings = dict(_scalars(_load(folder / "manifest.json").get("settings", {})))
    summary = dict(_scalars(_load(folder / "finished.json")))
    where = _load(folder / "provenance.json")
    facts = [f"{key} {value}" for key, value in {**settings, **summary}.items()]
    if "processor" in where:
        facts.append(f"on {_machine(where)}")
    if "wall_seconds" in where:
        facts.append(_duration(where["wall_seconds"]))
    if "finished" in where:
        facts.append(f"finished {where['finished']}")
    if where.get("commit"):
        facts.append(f"commit {where['commit']}")
    return facts


def _load(path):
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _scalars(values):
    """Settings that fit on a line; nested ones are in the manifest, which is linked."""
    for key, value in values.items():
        if isinstance(value, (str, int, float)):
            yield key.replace("_", " "), value
        elif isinstance(value, list) and len(value) <= 6:
            yield key.replace("_", " "), ", ".join(map(str, value))


def _page_stamp(stamp, docname, up):
    profile = "" if stamp["profile"] == "laptop" else f" --profile {stamp['profile']}"
    parameters = ", ".join(f"{key}={value!r}" for key, value in stamp["parameters"].items())
    rows = (
        ("profile", stamp["profile"]),
        ("source", f"{stamp['source']} (sha256 {stamp['source_sha256'][:12]})"),
        ("parameters", parameters),
        ("package", f"s1core {stamp['version']} (sources {stamp['package_sha256'][:12]})"),
        ("run it", f".venv/bin/python -m s1lab.book execute {stamp['source']}{profile}"),
        ("run all", f"make reproduce PROFILE={stamp['profile']}"),
    )
    cells = "".join(f"<dt>{k}</dt><dd>{html.escape(str(v))}</dd>" for k, v in rows)
    notebook = f"{up}_sources/{docname}.ipynb"
    cells += (
        f'<dt>download</dt><dd><a href="{notebook}" download>{Path(docname).name}.ipynb</a></dd>'
    )
    return f'<aside class="s1-stamp" aria-label="How this page was made"><dl>{cells}</dl></aside>'
