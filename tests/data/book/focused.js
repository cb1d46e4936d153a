() => {
    const e = document.activeElement, style = getComputedStyle(e);
    const ring = e.matches('.s1-point') ? getComputedStyle(e.querySelector('.s1-hit')) : null;
    const name = e.querySelector('.s1-number') ?? e;
    return {words: e.getAttribute('aria-label') ?? name.textContent.trim(),
        ring: ring ? parseFloat(ring.strokeWidth) : parseFloat(style.outlineWidth),
        drawn: ring ? ring.stroke !== 'none' : style.outlineStyle !== 'none'};
}
