// The trace viewer: one trace at a time, steps folded, keys. Without this script all is open.
(() => {
  "use strict";
  const make = (tag, properties, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };

  const enhance = (viewer) => {
    if (viewer.classList.contains("s1-on")) return; // the script may be on the page twice
    const traces = [...viewer.querySelectorAll(".s1-trace")];
    const stepsOf = (trace) => [...trace.querySelectorAll("details")];
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
    const hint = make("span", { className: "s1-keys", textContent: "keys: ← → ↑ ↓ Enter" });
    const bar = make("div", { className: "s1-bar" }, previous, place, next, fold, hint);

    const setFolded = (folded) => {
      state.folded = folded;
      fold.textContent = folded ? "Unfold all steps" : "Fold all steps";
      for (const trace of traces) for (const step of stepsOf(trace)) step.open = !folded;
    };
    const show = (wanted) => {
      state.at = (wanted + traces.length) % traces.length;
      traces.forEach((trace, number) => { trace.hidden = number !== state.at; });
      const badge = traces[state.at].querySelector(".s1-badge");
      place.textContent = `Trace ${state.at + 1} of ${traces.length}` +
        (badge ? `: ${badge.textContent.slice(2)}` : "");
    };

    viewer.addEventListener("keydown", (event) => {
      if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
      const onStep = event.target.tagName === "SUMMARY";
      const summaries = stepsOf(traces[state.at]).map((step) => step.querySelector("summary"));
      const here = summaries.indexOf(event.target);
      if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
        show(state.at + (event.key === "ArrowRight" ? 1 : -1));
        // A step that is no longer shown cannot keep the focus.
        if (onStep) traces[state.at].querySelector("summary")?.focus();
      } else if (event.key === "ArrowDown") {
        summaries[Math.min(here + 1, summaries.length - 1)]?.focus();
      } else if (event.key === "ArrowUp" && onStep) {
        (here > 0 ? summaries[here - 1] : next).focus();
      } else {
        return;
      }
      event.preventDefault();
      event.stopPropagation();
    });

    for (const trace of traces) {
      const steps = stepsOf(trace);
      for (const line of trace.querySelectorAll(".s1-preview")) line.hidden = false;
      trace.querySelectorAll(".s1-blocks > .s1-block").forEach((block, number) => {
        block.addEventListener("click", () => {
          steps[number].open = true;
          steps[number].querySelector("summary").focus();
        });
      });
    }
    viewer.querySelector(".s1-trace").before(bar);
    viewer.classList.add("s1-on");
    setFolded(true);
    show(0);
  };

  const start = () => document.querySelectorAll(".s1-viewer:not(.s1-single)").forEach(enhance);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
