() => [...document.querySelectorAll('article img')].map(image => ({
    name: image.src.slice(0, 40), theme: image.className, alt: image.alt,
    loaded: image.complete && image.naturalWidth > 0,
    shown: getComputedStyle(image).display !== 'none',
    natural: image.naturalWidth, width: image.getBoundingClientRect().width}))
