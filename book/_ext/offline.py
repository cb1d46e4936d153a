"""Make the site complete by itself, and its markup sound.

MathJax comes from the site: one script and its fonts instead of 36 MB. The live-kernel script that
Jupyter Book adds to every page is taken out: it would fetch from a CDN, and is declared twice.
"""

import importlib.resources
import shutil
from pathlib import Path

SCRIPT, FONTS = "tex-chtml-full.js", "output/chtml/fonts/woff-v2"
# A bibliography is called a list whose entries are not list items (against WCAG 1.3.1); and two
# hyphens are no dash.
SOUND = {'<div role="list" class="cit': '<div class="cit', ' role="doc-biblioentry"': ""}
SOUND |= {f"</{tag}> -- ": f"</{tag}> – " for tag in ("strong", "a")}
# The arrow beside a page with pages below it has no name of its own.
TOGGLE = '<summary><span class="toctree-toggle'
NAMED = '<summary aria-label="Pages below"><span class="toctree-toggle'


def setup(app):
    # Which pages a search lists first; as a setting its path would be relative to no one place.
    app.config.html_search_scorer = str(Path(__file__).with_name("scorer.js"))
    app.connect("html-page-context", _tidy_page, priority=900)
    app.connect("build-finished", _copy)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _tidy_page(app, page, template, context, doctree):
    # The model in the page has scripts that the other pages do without.
    idle = ["thebe"] if 'class="decoder"' in context.get("body", "") else ["thebe", "decoder-"]

    def useless(script):
        said = f"{script} {getattr(script, 'attributes', '')}".lower()
        return any(name in said for name in idle)

    context["script_files"] = [s for s in context.get("script_files", []) if not useless(s)]
    for written, sound in SOUND.items() if context.get("body") else ():
        context["body"] = context["body"].replace(written, sound)


def _copy(app, error):
    if error or app.builder.format != "html":
        return
    source = Path(importlib.resources.files("sphinx-mathjax-offline")) / "static" / "mathjax"
    target = Path(app.outdir) / "_static" / "mathjax"
    shutil.copytree(source / FONTS, target / FONTS, dirs_exist_ok=True)
    shutil.copy2(source / SCRIPT, target)
    for page in Path(app.outdir).rglob("*.html"):
        page.write_text(page.read_text("utf-8").replace(TOGGLE, NAMED), encoding="utf-8")
