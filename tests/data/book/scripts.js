text => [...document.scripts].filter(script => script.text.includes(text))
    .map(script => script.type)
