// Ids that occur twice, and headings that skip a level; neither is a serious finding of axe's.
() => {
    const ids = [...document.querySelectorAll('[id]')].map(element => element.id);
    const twice = ids.filter((id, place) => ids.indexOf(id) !== place).map(id => `#${id} twice`);
    const levels = [...document.querySelectorAll('article :is(h1, h2, h3, h4, h5, h6)')]
        .map(heading => Number(heading.tagName[1]));
    const skips = levels.filter((level, place) => level > (levels[place - 1] ?? 0) + 1)
        .map(level => `h${level} after a skipped level`);
    const landmarks = document.querySelectorAll('main').length === 1 ? [] : ['not one main'];
    return [...twice, ...skips, ...landmarks];
}
