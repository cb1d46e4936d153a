// Ids that occur twice, headings that skip a level, and Markdown that was left as it was written
// (a row torn from its table, a fence, a role, a link); none is a serious finding of axe's.
() => {
    const ids = [...document.querySelectorAll('[id]')].map(element => element.id);
    const twice = ids.filter((id, place) => ids.indexOf(id) !== place).map(id => `#${id} twice`);
    const levels = [...document.querySelectorAll('article :is(h1, h2, h3, h4, h5, h6)')]
        .map(heading => Number(heading.tagName[1]));
    const skips = levels.filter((level, place) => level > (levels[place - 1] ?? 0) + 1)
        .map(level => `h${level} after a skipped level`);
    const landmarks = document.querySelectorAll('main').length === 1 ? [] : ['not one main'];
    const raw = [...document.querySelectorAll('article :is(p, li, td, dd)')]
        .map(element => element.textContent.trim())
        .filter(text => /^\|.*\|$|^:{3,}|\{(glue|doc|ref|term|cite)\b[^}]*\}|\]\([^)]*\)/m.test(text))
        .map(text => `Markdown: ${text.slice(0, 60)}`);
    return [...twice, ...skips, ...landmarks, ...raw];
}
