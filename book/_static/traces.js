// The trace viewer: one trace at a time, long steps folded, keys. Without this script all is open.
(() => {
  "use strict";
  const make = (tag, properties, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const foldsOf = (within) => [...within.querySelectorAll("details")];

  const enhance = (viewer) => {
    if (viewer.classList.contains("s1-on")) return; // the script may be on the page twice
    const traces = [...viewer.querySelectorAll(".s1-trace")];
    // A step is a summary where there is more to unfold, and a row where all of it is shown.
    const stepsOf = (trace) => [...trace.querySelectorAll(".s1-row")];
    const state = { at: 0, folded: true };

    const place = make("span", { className: "s1-place" });
    place.setAttribute("role", "status");
    const button = (label, act) => {
      const element = make("button", { type: "button", textContent: label });
      element.addEventListener("click", act);
      return element;
    };
    const previous = button("‹ Previous", () => show(state.at - 1));
    const next = button("Next ›", () => show(state.at + 1));
    const fold = button("", () => setFolded(!state.folded));
    fold.hidden = foldsOf(viewer).length === 0;
    const keys = `keys: ← → ↑ ↓${fold.hidden ? "" : " Enter"}`;
    const hint = make("span", { className: "s1-keys", textContent: keys });
    const bar = make("div", { className: "s1-bar" }, previous, place, next, fold, hint);

    const setFolded = (folded) => {
      state.folded = folded;
      fold.textContent = folded ? "Unfold all steps" : "Fold all steps";
      for (const step of foldsOf(viewer)) step.open = !folded;
    };
    // The list of steps ends between two of them, never within one; what does not fit is scrolled to.
    const fit = (trace) => {
      const list = trace.querySelector(".s1-steps");
      const ends = [...list.children].map((step) => step.offsetTop + step.offsetHeight);
      const most = 46 * parseFloat(getComputedStyle(document.documentElement).fontSize);
      list.style.maxHeight = ends.at(-1) > most ? `${ends.filter((end) => end <= most).at(-1) ?? most}px` : "";
      list.tabIndex = ends.at(-1) > most ? 0 : -1; // what scrolls can be reached with the keyboard
    };
    const show = (wanted) => {
      state.at = (wanted + traces.length) % traces.length;
      traces.forEach((trace, number) => trace.classList.toggle("s1-away", number !== state.at));
      const badge = traces[state.at].querySelector(".s1-badge");
      place.textContent = `Trace ${state.at + 1} of ${traces.length}` +
        (badge ? `: ${badge.textContent.slice(2)}` : "");
    };

    viewer.addEventListener("keydown", (event) => {
      if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
      const steps = stepsOf(traces[state.at]);
      const here = steps.indexOf(event.target);
      if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
        show(state.at + (event.key === "ArrowRight" ? 1 : -1));
        // A step that is no longer shown cannot keep the focus.
        if (here >= 0) stepsOf(traces[state.at])[0]?.focus();
      } else if (event.key === "ArrowDown") {
        steps[Math.min(here + 1, steps.length - 1)]?.focus();
      } else if (event.key === "ArrowUp" && here >= 0) {
        (here > 0 ? steps[here - 1] : next).focus();
      } else {
        return;
      }
      event.preventDefault();
      event.stopPropagation();
    });

    for (const trace of traces) {
      const steps = stepsOf(trace);
      trace.querySelector(".s1-steps").setAttribute("aria-label", "Steps");
      for (const line of trace.querySelectorAll(".s1-preview")) line.hidden = false;
      for (const step of steps) if (step.tagName !== "SUMMARY") step.tabIndex = -1;
      trace.querySelectorAll(".s1-blocks > .s1-block").forEach((block, number) => {
        block.addEventListener("click", () => {
          const details = steps[number].closest("details");
          if (details) details.open = true;
          steps[number].focus();
        });
      });
    }
    viewer.querySelector(".s1-traces").before(bar);
    viewer.classList.add("s1-on");
    setFolded(true);
    show(0);
    const fitAll = () => traces.forEach(fit);
    fitAll();
    document.fonts.ready.then(fitAll);
    window.addEventListener("resize", fitAll);
  };

  const start = () => document.querySelectorAll(".s1-viewer:not(.s1-single)").forEach(enhance);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
