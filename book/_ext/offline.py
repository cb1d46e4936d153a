"""Make the site complete by itself, and its markup sound.

MathJax comes from the site: one script and its fonts, instead of a CDN or the whole 36 MB. The
live-kernel script that Jupyter Book adds to every page, switched off or not, is taken out: it
would fetch from a CDN, and it is declared twice, which is an error in the console.
"""

import importlib.util
import re
import shutil
from pathlib import Path

SCRIPT = "tex-chtml-full.js"
FONTS = "output/chtml/fonts/woff-v2"
SIGNATURE = re.compile(r'(<span class="sig-paren">\(</span>)\s*<dl>(.*?)</dl>', re.DOTALL)
LINE = '<span class="sig-line">'
# The arrow beside a page with pages below it has no name of its own.
TOGGLE = (
    '<summary><span class="toctree-toggle',
    '<summary aria-label="Pages below"><span class="toctree-toggle',
)


def setup(app):
    app.connect("config-inited", _use_local_script, priority=900)
    app.connect("html-page-context", _tidy_page, priority=900)
    app.connect("build-finished", _copy)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _use_local_script(app, config):
    config.mathjax_path = f"mathjax/{SCRIPT}"


def _tidy_page(app, page, template, context, doctree):
    context["script_files"] = [
        script
        for script in context.get("script_files", [])
        if "thebe" not in f"{script} {getattr(script, 'attributes', '')}".lower()
    ]
    if context.get("body"):
        context["body"] = _sound(context["body"])


def _sound(body):
    """Mend what docutils and autodoc write against the rules of accessible markup."""
    # A bibliography is called a list whose entries are not list items (WCAG 1.3.1).
    body = body.replace('<div role="list" class="cit', '<div class="cit')
    body = body.replace(' role="doc-biblioentry"', "")
    # A signature over several lines is called a list of definitions without terms.
    return SIGNATURE.sub(
        lambda lines: lines[1] + lines[2].replace("<dd>", LINE).replace("</dd>", "</span>"), body
    )


def _copy(app, error):
    if error or app.builder.format != "html":
        return
    package = importlib.util.find_spec("sphinx-mathjax-offline")
    if package is None or package.origin is None:
        raise RuntimeError("sphinx-mathjax-offline is not installed: run `make setup`.")
    source = Path(package.origin).parent / "static" / "mathjax"
    target = Path(app.outdir) / "_static" / "mathjax"
    target.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source / SCRIPT, target)
    shutil.copytree(source / FONTS, target / FONTS, dirs_exist_ok=True)
    for page in Path(app.outdir).rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        page.write_text(text.replace(*TOGGLE), encoding="utf-8")
