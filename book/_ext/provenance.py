"""Write under every figure, and under every page, where it came from.

The stamp in an executed notebook holds what does not change between reruns (profile, source and
its hash, parameters, version). What does change (date, wall time, hardware) stays in the manifests
of the runs, and is read here, when the book is built. So notebooks stay byte-identical.
"""

import html
import json
import re
from functools import cache
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
    """One run: what its manifest says, with links to the files that the site carries."""
    folder = _find(name, profile, results)
    if folder is None:
        return (
            f"<li><code>{html.escape(name)}</code>: kept in the run store, "
            "not among the committed results</li>"
        )
    facts = _facts(folder)
    files = [folder]
    if folder.is_dir():
        files = sorted(file for file in folder.iterdir() if file.is_file())
    links = ", ".join(
        f'<a href="{up}{html.escape(file.relative_to(results.parent).as_posix())}">'
        f"{html.escape(file.name)}</a>"
        for file in files
    )
    described = "; ".join(f"{html.escape(label)} {html.escape(value)}" for label, value in facts)
    return f"<li><code>{html.escape(name)}</code> {described}<br>{links}</li>"


def _find(name, profile, results):
    """A run by its path below results/, or by the name of its folder."""
    for base in (results / profile, results):
        if (base / name).exists() and ".." not in name:
            return base / name
    return _folders(results / profile).get(name.rsplit("/", 1)[-1])


@cache
def _folders(base):
    return {path.parent.name: path.parent for path in sorted(base.rglob("manifest.json"))}


def _facts(folder):
    """Readable facts of a manifest, in the order in which a reader asks for them."""
    manifest = (folder if folder.is_dir() else folder.parent) / "manifest.json"
    if not manifest.is_file():
        return []
    flat = dict(_flatten(json.loads(manifest.read_text(encoding="utf-8"))))
    facts = []
    for label, names in (
        ("model", ("model", "checkpoint")),
        ("seeds", ("seeds", "seed")),
        ("n =", ("n", "n_problems", "problems", "records", "count")),
        ("on", ("hardware", "cpu", "gpu", "machine")),
        ("took", ("wall_seconds", "seconds", "wall_time")),
        ("finished", ("finished", "finished_at", "date")),
    ):
        value = next((flat[name] for name in names if flat.get(name) not in (None, "", [])), None)
        if value is not None:
            seconds = label == "took" and isinstance(value, (int, float))
            facts.append((label, f"{value:.0f} s" if seconds else _plain(value)))
    return facts


def _flatten(value):
    for key, item in value.items():
        if isinstance(item, dict) and key in {"settings", "provenance", "environment"}:
            yield from _flatten(item)
        else:
            yield key, item


def _plain(value):
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_plain(item) for item in value)
    return str(value)


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
