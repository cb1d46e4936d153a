// The scaling figure: choose a condition on the curve or by its name, then a question in the grid.
// Pointing shows; a click, a tap or a key chooses, and stays.
(() => {
  "use strict";
  const make = (tag, className, text = "") => {
    const element = document.createElement(tag);
    element.className = className;
    element.textContent = text;
    return element;
  };

  const enhance = (figure) => {
    if (figure.classList.contains("s1-on")) return; // the script may be on the page twice
    const data = JSON.parse(figure.querySelector("script").textContent);
    const { points, questions } = data;
    const natural = data.natural ?? null;
    const svg = figure.querySelector("svg");
    const marks = [...svg.querySelectorAll(".s1-point")];
    // What is chosen, and what is shown while the pointer rests on something else.
    const chosen = { point: natural ?? points.length - 1, question: Math.floor(questions.length / 2) };
    const shown = { ...chosen };

    const heading = make("p", "s1-chosen");
    heading.setAttribute("aria-live", "polite");
    const grid = make("div", "s1-grid-of-questions");
    const cells = questions.map((_, number) => {
      const cell = make("i", "s1-cell");
      cell.dataset.question = number;
      return cell;
    });
    grid.append(...cells);
    grid.tabIndex = 0;
    grid.setAttribute("role", "slider");
    grid.setAttribute("aria-label", "Question");
    grid.setAttribute("aria-valuemin", "1");
    grid.setAttribute("aria-valuemax", String(questions.length));
    const asked = make("p", "s1-asked");
    const strip = make("div", "s1-strip");
    const chips = points.map((point, number) => {
      const chip = make("button", "", point.label);
      chip.type = "button";
      chip.tabIndex = -1; // the curve above offers the same to the keyboard
      chip.prepend(make("i", "s1-cell"));
      chip.addEventListener("click", () => { chosen.point = number; show(chosen); });
      return chip;
    });
    strip.append(...chips);
    const against = natural === null ? "" : ` + gained, − lost, against ${points[natural].label}.`;
    const hint = make("p", "s1-keys", "A cell is a question, the easiest first, filled by the share of " +
      `its samples that are right.${against} Point to look, click to choose; or Tab and the arrow keys.`);
    const panel = make("div", "s1-panel");
    panel.append(heading, grid, hint, asked, strip);
    svg.after(panel);

    const share = (point, question) => points[point].right[question] / points[point].samples;
    const times = (point, question) =>
      `${points[point].right[question]} of ${points[point].samples} right`;
    const change = (point, question) => natural === null || point === natural ? 0 :
      Math.sign(share(point, question) - share(natural, question));
    const fill = (cell, point, question) => {
      const value = share(point, question);
      cell.dataset.level = value === 0 ? "none" : value === 1 ? "all" : "some";
      cell.dataset.change = { "1": "gained", "-1": "lost", "0": "" }[change(point, question)];
      cell.style.setProperty("--share", `${100 * value}%`);
    };
    const count = (test) => questions.filter((_, question) => test(question)).length;

    const show = (wanted) => {
      const { point, question } = Object.assign(shown, wanted);
      const of = points[point];
      marks.forEach((mark, other) => {
        mark.classList.toggle("s1-current", other === point);
        mark.setAttribute("aria-checked", String(other === chosen.point));
        mark.tabIndex = other === chosen.point ? 0 : -1;
      });
      const compared = natural === null || point === natural ? "" :
        ` Against ${points[natural].label} ${count((q) => change(point, q) > 0)} gained, ` +
        `${count((q) => change(point, q) < 0)} lost.`;
      const said = `${of.label}: ${of.accuracy}% at ${of.tokens} thinking tokens. Of ${questions.length} ` +
        `questions ${count((q) => share(point, q) === 1)} always right, ` +
        `${count((q) => share(point, q) === 0)} never.${compared}`;
      if (heading.textContent !== said) heading.textContent = said;
      cells.forEach((cell, q) => {
        fill(cell, point, q);
        cell.classList.toggle("s1-current", q === question);
      });
      chips.forEach((chip, other) => {
        chip.setAttribute("aria-pressed", String(other === point));
        chip.title = times(other, question);
        fill(chip.firstChild, other, question);
      });
      const answer = of.answers[question] || "none";
      const spent = `${of.spent[question]} thinking tokens`;
      grid.setAttribute("aria-valuenow", String(question + 1));
      grid.setAttribute("aria-valuetext",
        `${questions[question]}: ${times(point, question)}, ${spent}, first answer ${answer}`);
      asked.replaceChildren(make("bdi", "s1-question", questions[question]),
        `: ${times(point, question)}, ${spent} on average, first answer `, make("bdi", "s1-said", answer));
    };
    // One to the right or the left; up and down go as many as there are in a row.
    const moved = (event, at, number, row) => {
      if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return null;
      const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: row, ArrowUp: -row,
        Home: -at, End: number - 1 - at }[event.key];
      if (by === undefined) return null;
      event.preventDefault();
      event.stopPropagation();
      const to = at + by;
      return to < 0 || to >= number ? at : to;
    };
    const columns = () => {
      const next = cells.findIndex((cell) => cell.offsetTop > cells[0].offsetTop);
      return next < 0 ? cells.length : next;
    };

    svg.setAttribute("role", "radiogroup");
    marks.forEach((mark, point) => {
      mark.setAttribute("role", "radio");
      mark.querySelector("title").remove(); // the panel says more, and at once
      mark.addEventListener("pointerenter", () => show({ point }));
      mark.addEventListener("pointerleave", () => show(chosen));
      mark.addEventListener("click", () => { chosen.point = point; show(chosen); mark.focus(); });
      mark.addEventListener("keydown", (event) => {
        const to = moved(event, point, marks.length, -1);
        if (to !== null) { chosen.point = to; show(chosen); marks[to].focus(); }
      });
    });
    const under = (event) => event.target.closest("[data-question]")?.dataset.question;
    grid.addEventListener("pointerover", (event) => {
      if (under(event) !== undefined) show({ question: Number(under(event)) });
    });
    grid.addEventListener("pointerleave", () => show(chosen));
    grid.addEventListener("click", (event) => {
      if (under(event) !== undefined) { chosen.question = Number(under(event)); show(chosen); }
    });
    grid.addEventListener("keydown", (event) => {
      const to = moved(event, chosen.question, questions.length, columns());
      if (to !== null) { chosen.question = to; show(chosen); }
    });
    figure.classList.add("s1-on");
    show(chosen);
  };

  const start = () => document.querySelectorAll(".s1-curve").forEach(enhance);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
