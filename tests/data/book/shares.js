// Heights in pixels: the page, its visible code, its figures, its other results; the rest is prose.
() => {
    const article = document.querySelector('article.bd-article');
    const tall = selector => [...article.querySelectorAll(selector)]
        .filter(element => element.checkVisibility())
        .reduce((sum, element) => sum + element.getBoundingClientRect().height, 0);
    const page = article.getBoundingClientRect().height;
    const code = tall('div.cell_input > div.highlight, div.cell_input > div > div.highlight,'
        + ' :is(section, article, details, div.admonition, dd, div.sd-tab-content) > div[class*="highlight-"]');
    const figures = tall('figure.s1-figure'), outputs = tall('div.cell_output');
    const all = {page, code, figures, results: Math.max(outputs - figures, 0)};
    return {...all, prose: page - code - Math.max(outputs, figures)};
}
