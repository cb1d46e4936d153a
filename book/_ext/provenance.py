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

FIGURE = re.compile(r'(<figure class="s1-figure"([^>]*)>.*?)</figure>', re.DOTALL)
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
            text = FIGURE.sub(lambda match: _stamp_figure(match, stamp, results, up), node.astext())
            node.children = [nodes.Text(text)]
            node.rawsource = text
    doctree += nodes.raw("", _page_stamp(stamp), format="html")


def _stamp_figure(match, stamp, results, up):
    named = RUNS.search(match.group(2))
    runs = html.unescape(named.group(1)).split() if named else []
    rows = [_run_row(name, stamp["profile"], results, up) for name in runs]
    summary = f"<b>{html.escape(stamp['profile'])}</b> · {html.escape(stamp['source'])}"
    body = "".join(rows) or "<li>drawn from values in the notebook itself</li>"
    return (
        f'{match.group(1)}<details class="s1-provenance"><summary>Where this comes from: {summary}'
        f" @ <code>{stamp['source_sha256'][:12]}</code></summary><ul>{body}</ul></details></figure>"
    )


def _run_row(name, profile, results, up):
    """One run: what it was asked, where and when it ran, and links to its files in the site."""
    place = _find(name, profile, results)
    if place is None:
        return (
            f"<li><code>{html.escape(name)}</code>: kept in the run store, "
            "not among the committed results</li>"
        )
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
        facts.append(f"on {where['processor']}, {where.get('cpus', '?')} cores")
    if "wall_seconds" in where:
        facts.append(f"took {where['wall_seconds']:.0f} s")
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


def _page_stamp(stamp):
    parameters = ", ".join(f"{key}={value!r}" for key, value in stamp["parameters"].items())
    rows = (
        ("profile", stamp["profile"]),
        ("source", f"{stamp['source']} (sha256 {stamp['source_sha256'][:12]})"),
        ("parameters", parameters),
        ("package", f"s1core {stamp['version']} (sources {stamp['package_sha256'][:12]})"),
        ("run it", f"make notebooks PROFILE={stamp['profile']}"),
    )
    cells = "".join(f"<dt>{k}</dt><dd>{html.escape(str(v))}</dd>" for k, v in rows)
    return f'<aside class="s1-stamp" aria-label="How this page was made"><dl>{cells}</dl></aside>'
