// The scaling figure: choose a condition on the curve, then a question in the grid below it.
(() => {
  "use strict";
  const make = (tag, className, text = "") => {
    const element = document.createElement(tag);
    element.className = className;
    element.textContent = text;
    return element;
  };
  const steps = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 };

  const enhance = (figure) => {
    if (figure.classList.contains("s1-on")) return; // the script may be on the page twice
    const data = JSON.parse(figure.querySelector("script").textContent);
    const { points, questions } = data;
    const svg = figure.querySelector("svg");
    const marks = [...svg.querySelectorAll(".s1-point")];
    const state = { point: 0, question: Math.floor(questions.length / 2) };

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
    const hint = make("p", "s1-keys", "A cell is a question, the easiest first: full, always right; half, " +
      "sometimes; empty, never. Point at conditions and cells, or use Tab and the arrow keys.");
    const panel = make("div", "s1-panel");
    panel.append(heading, grid, hint, asked, strip);
    svg.after(panel);

    const share = (point, question) => points[point].right[question] / points[point].samples;
    const level = (value) => (value === 0 ? "none" : value === 1 ? "all" : "some");
    const times = (point, question) =>
      `${points[point].right[question]} of ${points[point].samples} right`;

    const showPoint = (number) => {
      state.point = number;
      const point = points[number];
      marks.forEach((mark, other) => {
        mark.classList.toggle("s1-current", other === number);
        mark.setAttribute("aria-checked", String(other === number));
        mark.tabIndex = other === number ? 0 : -1;
      });
      const solved = questions.filter((_, q) => share(number, q) === 1).length;
      const never = questions.filter((_, q) => share(number, q) === 0).length;
      heading.textContent = `${point.label}: ${point.accuracy}% at ${point.tokens} thinking ` +
        `tokens. Of ${questions.length} questions ${solved} always right, ${never} never.`;
      cells.forEach((cell, q) => { cell.dataset.level = level(share(number, q)); });
      showQuestion(state.question);
    };
    const showQuestion = (number) => {
      cells[state.question].classList.remove("s1-current");
      state.question = number;
      cells[number].classList.add("s1-current");
      const point = points[state.point];
      const answer = point.answers[number] || "none";
      const said = `${questions[number]}: ${times(state.point, number)}, ` +
        `${point.spent[number]} thinking tokens, first answer ${answer}`;
      grid.setAttribute("aria-valuenow", String(number + 1));
      grid.setAttribute("aria-valuetext", said);
      asked.replaceChildren(make("bdi", "s1-question", questions[number]),
        `: ${times(state.point, number)}, ${point.spent[number]} thinking tokens on average, `,
        "first answer ", make("bdi", "s1-said", answer));
      strip.replaceChildren(...points.map((other, p) => {
        const entry = make("span", p === state.point ? "s1-current" : "", other.label);
        const cell = make("i", "s1-cell");
        cell.dataset.level = level(share(p, number));
        entry.prepend(cell);
        entry.title = times(p, number);
        return entry;
      }));
    };
    const moved = (event, at, count) => {
      if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return null;
      const ends = { Home: 0, End: count - 1 };
      const to = event.key in ends ? ends[event.key] : at + (steps[event.key] ?? NaN);
      if (Number.isNaN(to)) return null;
      event.preventDefault();
      event.stopPropagation();
      return Math.min(Math.max(to, 0), count - 1);
    };

    svg.setAttribute("role", "radiogroup");
    marks.forEach((mark, number) => {
      mark.setAttribute("role", "radio");
      mark.querySelector("title").remove(); // the panel says more, and at once
      mark.addEventListener("pointerenter", () => showPoint(number));
      mark.addEventListener("click", () => { showPoint(number); mark.focus(); });
      mark.addEventListener("keydown", (event) => {
        const to = moved(event, number, marks.length);
        if (to !== null) { showPoint(to); marks[to].focus(); }
      });
    });
    const under = (event) => {
      const cell = event.target.closest("[data-question]");
      if (cell) showQuestion(Number(cell.dataset.question));
    };
    grid.addEventListener("pointerover", under);
    grid.addEventListener("click", under);
    grid.addEventListener("keydown", (event) => {
      const to = moved(event, state.question, questions.length);
      if (to !== null) showQuestion(to);
    });
    figure.classList.add("s1-on");
    // Where the model stops by itself: from there a budget takes away and a Wait adds.
    const capping = marks.map((mark) => mark.matches(".s1-series-capping"));
    showPoint(Math.max(capping.lastIndexOf(true), 0));
  };

  const start = () => document.querySelectorAll(".s1-curve").forEach(enhance);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
