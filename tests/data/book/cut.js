// How many lists of steps scroll and end within a step.
lists => lists.filter(list => list.scrollHeight > list.clientHeight + 1 && ![...list.children]
    .some(step => Math.abs(step.offsetTop + step.offsetHeight - list.clientHeight) < 2)).length
