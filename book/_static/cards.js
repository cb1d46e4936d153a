// What a term means and what a citation cites, beside the word: on hover and on focus, gone on Escape.
(() => {
  "use strict";
  const start = () => {
    const links = document.querySelectorAll(
      "article a.s1-term[title], article a.reference.internal[href*='references.html#'][title]");
    if (!links.length || document.getElementById("s1-card")) return;
    const card = document.createElement("div");
    card.id = "s1-card";
    card.setAttribute("role", "tooltip");
    card.hidden = true;
    document.body.append(card);
    let leaving = 0;

    const hide = () => {
      card.hidden = true;
      document.querySelector("[aria-describedby='s1-card']")?.removeAttribute("aria-describedby");
    };
    const show = (link) => {
      clearTimeout(leaving);
      hide();
      const kind = link.matches(".s1-term") ? link.textContent : "";
      const name = Object.assign(document.createElement("b"), { textContent: kind });
      card.replaceChildren(...(kind ? [name, " "] : []), link.dataset.said);
      card.hidden = false;
      link.setAttribute("aria-describedby", "s1-card");
      const at = link.getClientRects()[0];
      const room = document.documentElement.clientWidth;
      card.style.left = `${Math.max(8, Math.min(at.left, room - card.offsetWidth - 8)) + window.scrollX}px`;
      const above = at.bottom + card.offsetHeight + 12 > window.innerHeight && at.top > card.offsetHeight + 60;
      card.style.top = `${window.scrollY + (above ? at.top - card.offsetHeight - 6 : at.bottom + 6)}px`;
    };
    const leave = () => { leaving = setTimeout(hide, 250); }; // time to move onto the card
    card.addEventListener("pointerenter", () => clearTimeout(leaving));
    card.addEventListener("pointerleave", leave);
    for (const link of links) {
      link.dataset.said = link.title; // the browser's own tooltip would cover the card
      link.removeAttribute("title");
      link.addEventListener("pointerenter", () => show(link));
      link.addEventListener("pointerleave", leave);
      link.addEventListener("focus", () => show(link));
      link.addEventListener("blur", hide);
    }
    document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
