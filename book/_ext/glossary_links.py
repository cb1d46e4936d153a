"""The first use of a glossary's term on a page links to it, its definition at hand as a title.

`_static/cards.js` shows titles of terms and citations as cards; without it browsers show tooltips.
"""

import re

from docutils import nodes

NOT_WITHIN = (nodes.title, nodes.reference, nodes.table, nodes.term, nodes.admonition)
NOT_WITHIN += (nodes.literal, nodes.emphasis, nodes.caption, nodes.raw)
NOT_ON = re.compile(r"api/|glossary$|references$|claims$")


def setup(app):
    app.connect("doctree-resolved", _link)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def entries(glossary):
    """`{term: (anchor, definition)}` of a glossary's document; aliases share their definition."""
    found = {}
    for item in glossary.findall(nodes.definition_list_item):
        said = " ".join(item.next_node(nodes.definition).astext().split())
        for term in item.findall(nodes.term):
            found[term.astext()] = (term["ids"][0], said)
    return found


def _link(app, doctree, docname):
    if NOT_ON.match(docname) or "glossary" not in app.env.found_docs:
        return
    terms = entries(app.env.get_doctree("glossary"))
    longest_first = sorted(map(re.escape, terms), key=len, reverse=True)
    pattern = re.compile(rf"(?<![\w-])({'|'.join(longest_first)})s?(?![\w-])")
    page, used = app.builder.get_relative_uri(docname, "glossary"), set()
    for text in list(doctree.findall(nodes.Text)):
        around = text
        while around and not isinstance(around, NOT_WITHIN):
            around = around.parent
        if around or not isinstance(text.parent, nodes.paragraph):
            continue
        parts, last = [], 0
        for match in pattern.finditer(text.astext()):
            anchor, said = terms[match[1]]
            if said not in used:
                used.add(said)
                parts.append(nodes.Text(text[last : match.start()]))
                look = {"internal": True, "classes": ["s1-term"], "reftitle": said}
                parts.append(nodes.reference("", match[0], refuri=f"{page}#{anchor}", **look))
                last = match.end()
        if parts:
            text.parent.replace(text, [*parts, nodes.Text(text[last:])])
