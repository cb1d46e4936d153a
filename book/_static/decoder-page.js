// The model in the page: the controls of decoder.jinja around a worker that decodes. The reader is
// the decoder: thinking is cut, or its end refused, when they say so. What a model writes is set as
// text, never as markup.

// A page that was opened from a file may not start a worker from another file: the worker is made
// from the text of its functions. Calls are answered in order, each with a promise.
function decoderStart(shipped) {
  const parts = [decoderModel, `var DecoderMachine = ${DecoderMachine};`, decoderSha256, decoderWorker];
  const serve = () => {
    let worker = null;
    onmessage = ({ data: [number, name, given] }) => {
      try {
        if (name === "load") worker = decoderWorker(given[0]);
        postMessage([number, name === "load" ? true : worker[name](...given)]);
      } catch (error) {
        postMessage([number, null, error.message]);
      }
    };
  };
  const text = new Blob([`${parts.join("\n")}\n(${serve})();`], { type: "text/javascript" });
  const worker = new Worker(URL.createObjectURL(text)), waiting = new Map();
  let number = 0;
  worker.onmessage = ({ data: [answered, result, fault] }) => {
    const { resolve, reject } = waiting.get(answered);
    waiting.delete(answered);
    if (fault) reject(new Error(fault)); else resolve(result);
  };
  const call = (name, ...given) => new Promise((resolve, reject) => {
    waiting.set(++number, { resolve, reject });
    worker.postMessage([number, name, given]);
  });
  call("load", shipped);
  return call;
}

// Wilson's 95% interval of a proportion, as s1lab/evaluation/statistics.py has it.
function decoderWilson(right, n) {
  const z = 1.959963984540054, p = right / n, centre = (p + (z * z) / (2 * n)) / (1 + (z * z) / n);
  const spread = Math.sqrt((p * (1 - p)) / n + (z * z) / (4 * n * n));
  const half = (z / (1 + (z * z) / n)) * spread;
  return { accuracy: p, low: right ? centre - half : 0, high: right === n ? 1 : centre + half };
}

(() => {
  "use strict";
  const make = (tag, className, ...children) => {
    const element = document.createElement(tag);
    element.className = className;
    element.append(...children); // strings become text
    return element;
  };
  const draw = (tag, attributes, ...children) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };
  const percent = (share) => (100 * share).toFixed(1);
  const measured = (p) => `${percent(p.accuracy)} [${percent(p.low)}, ${percent(p.high)}]%`;
  const counted = (n, one) => `${n.toLocaleString("en")} ${one}${n === 1 ? "" : "s"}`;
  const verdict = (right) => (right ? "✓ right" : "✗ wrong");
  const spoken = (word) => (word === "" ? "nothing" : word);
  const soon = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

  // “Use 3 7 8 to make 29”, however it was typed: two or three numbers and, last, the target.
  const readPuzzle = (text) => {
    const found = (text.match(/\d+/g) || []).map(Number), target = found.pop();
    if (found.length < 2 || found.length > 3 || Math.max(...found, target) > 199) {
      throw new Error("Write two or three numbers and a target, none above 199: Use 3 7 8 to make 29.");
    }
    return { numbers: found, target, question: `Use ${found.join(" ")} to make ${target}` };
  };

  const enhance = (root) => {
    if (!root.hidden) return; // the script may be on the page twice
    const data = JSON.parse(root.querySelector("script[type='application/json']").textContent);
    const part = (name) => root.querySelector(`[data-part="${name}"]`);
    const form = part("form"), field = form.elements, curve = [...data.curve];
    const asked = [...part("ask").querySelectorAll("button")];
    // `run` counts what was started, `loop` is what goes on by itself: who finds another there is over.
    const state = { run: 0, loop: null, open: false, asks: false, thinking: false, did: [], cut: null, from: {} };
    const replay = { did: [], cut: null }; // what a link says was decided
    const say = (text) => { part("status").textContent = text; };

    // ---- the model: loaded once, when it is first needed; a second worker for what runs in bulk
    let shipped = null;
    const calls = {};
    const loaded = () => (shipped ||= new Promise((resolve, reject) => {
      // Beside this page's own scripts, wherever the site lies.
      const own = document.querySelector("script[src*='decoder-page.js']").src;
      const script = make("script", "");
      script.src = new URL(root.dataset.script, own).href;
      script.onload = () => resolve(decoderShipped);
      script.onerror = () => reject(new Error("The model could not be loaded."));
      document.head.append(script);
    }));
    const ask = async (worker, name, ...given) => {
      const call = await (calls[worker] ||= loaded().then(decoderStart));
      return call(name, ...given);
    };

    // ---- what is set, and the link that holds it
    const settings = () => ({
      budget: Number(field.budget.value), waits: Number(field.waits.value), ignore: field.ignore.value,
      temperature: Number(field.temperature.value), seed: Number(field.seed.value), ask: field.ask.checked,
    });
    const valid = () => {
      part("fault").textContent = "";
      try {
        const puzzle = readPuzzle(field.puzzle.value);
        field.puzzle.value = puzzle.question;
        return form.reportValidity() && puzzle;
      } catch (error) {
        part("fault").textContent = error.message;
        return null;
      }
    };
    const set = () => ({ puzzle: field.puzzle.value, ...settings(), ask: Number(field.ask.checked) });
    const share = (held) => {
      history.replaceState(null, "", `#try?${new URLSearchParams(held)}`);
      part("link").value = location.href;
    };
    const shareSession = () => share({ ...state.from,
      ...(state.did.length && { did: state.did.map(spoken).join(".") }),
      ...(state.cut !== null && { cut: state.cut }) });
    const readLink = () => {
      const held = new URLSearchParams(location.hash.slice("#try?".length));
      if (held.has("ask")) field.ask.checked = held.get("ask") !== "0";
      for (const name of ["puzzle", "budget", "waits", "ignore", "temperature", "seed", "pace"]) {
        const before = field[name].value;
        if (held.has(name)) field[name].value = held.get(name);
        if (!field[name].checkValidity() || field[name].selectedIndex < 0) field[name].value = before;
      }
      const known = new Map(asked.map((button) => [spoken(button.dataset.word), button.dataset.word]));
      replay.did = (held.get("did") || "").split(".").filter((word) => known.has(word)).map((word) => known.get(word));
      replay.cut = held.has("cut") ? Number(held.get("cut")) : null;
    };

    // ---- what is seen
    const controls = () => {
      part("start").textContent = state.open || state.run ? "Start again" : "Start thinking";
      part("pause").textContent = state.loop || !state.open || state.asks ? "Pause" : "Go on";
      part("pause").disabled = part("once").disabled = !state.open || state.asks;
      part("cut").disabled = !state.thinking;
      part("ask").classList.toggle("decoder-open", state.asks);
      for (const button of asked) button.disabled = !state.asks;
    };
    const named = (token, ends) => (ends.includes(token.id) ? "end" : token.text === "\n" ? "↵" : token.text);
    const showNext = (next, ends) => part("next").replaceChildren(...next.map((token) => {
      const bar = make("i", "decoder-chance");
      bar.style.width = `${(100 * token.chance).toFixed(1)}%`;
      const word = make("bdi", ends.includes(token.id) ? "decoder-end" : "", named(token, ends));
      return make("li", "", word, make("span", "decoder-track", bar), make("b", "", `${percent(token.chance)}%`));
    }));
    const showTokens = (tokens) => {
      for (const token of tokens) {
        const lines = part("lines"), answering = token.phase === "answer";
        if (answering) part("answer").hidden = false;
        if (!answering && (!lines.lastChild || lines.lastChild.dataset.whole)) {
          lines.append(make("li", "", make("bdi", "decoder-text"), make("span", "decoder-stopped")));
        }
        const place = answering ? part("answer") : lines.lastChild.firstChild;
        if (token.text === "\n") {
          if (!answering) lines.lastChild.dataset.whole = "yes";
          continue;
        }
        place.append(token.origin === "forced" ? forced(token.text) : token.text, " ");
      }
      part("stream").scrollTop = part("stream").scrollHeight;
    };
    const forced = (text) => make("mark", "", make("span", "decoder-aside", "forced: "), text);
    const told = (report) => (report.answer ? `${report.answer} ${report.right ? "✓" : "✗"}` : "no answer");
    const showHere = async () => {
      const run = state.run, line = part("lines").lastChild;
      const report = await ask("watch", "stoppedHere");
      if (run !== state.run) return "";
      for (const place of [part("here"), line && line.dataset.whole ? line.lastChild : null]) {
        if (!place) continue;
        place.textContent = told(report);
        place.classList.toggle("decoder-right", report.right);
      }
      return report.answer ? `${report.answer}: ${verdict(report.right)}` : "nothing";
    };
    const show = async (look) => {
      const run = state.run;
      showTokens(look.tokens);
      Object.assign(state, { asks: look.asks, open: !look.finished });
      state.thinking = state.open && look.phase === "thinking";
      part("meter").value = look.thinkingTokens;
      part("used").textContent = `${look.thinkingTokens} of ${state.from.budget}`;
      if (look.next) showNext(look.next, look.ends);
      const lineEnds = look.tokens.length && look.tokens[look.tokens.length - 1].text === "\n";
      const here = state.thinking && (lineEnds || look.asks || !state.loop) ? await showHere() : "";
      if (run !== state.run) return;
      const spent = counted(look.thinkingTokens, "thinking token");
      if (look.asks) say(`It wants to stop after ${spent} and would answer ${here}. You decide.`);
      if (look.finished) finish(look);
      controls();
    };
    const finish = (look) => {
      state.loop = null;
      part("next").replaceChildren();
      part("here").textContent = told(look);
      const how = { ended: "it stopped by itself", truncated: "thinking was cut", context: "its context was full" };
      say(`Answer ${look.answer || "none"}: ${verdict(look.right)}. ${counted(look.thinkingTokens, "thinking token")}, ` +
        `${counted(look.waitsUsed, "end")} refused, ${how[look.outcome]}.`);
    };

    // ---- what is done
    const go = async () => {
      if (state.loop) return;
      const run = state.run, loop = (state.loop = {});
      controls();
      while (state.loop === loop && state.open) {
        const pace = Number(field.pace.value), began = performance.now();
        if (replay.cut !== null && state.thinking && part("meter").value >= replay.cut) {
          replay.cut = null;
          await cut();
        } else if (state.asks) {
          if (!replay.did.length) break;
          await decide(replay.did.shift());
        } else {
          const look = await ask("watch", "step", pace || replay.cut !== null ? 1 : 8);
          if (run !== state.run) return;
          await show(look);
        }
        await soon(pace ? 1000 / pace - (performance.now() - began) : 0);
      }
      if (state.loop === loop) state.loop = null;
      controls();
    };
    const start = async () => {
      const puzzle = valid();
      if (!puzzle) return;
      const run = ++state.run;
      Object.assign(state, { loop: null, open: false, asks: false, thinking: false, did: [], cut: null, from: set() });
      for (const name of ["lines", "answer", "next"]) part(name).replaceChildren();
      part("answer").hidden = true;
      part("meter").max = Math.max(Number(field.budget.value), 1);
      say(calls.watch ? "Thinking." : "Loading the model, 2.6 MB.");
      shareSession();
      try {
        const look = await ask("watch", "begin", puzzle, settings());
        if (run !== state.run) return;
        say("Thinking.");
        await show(look);
        await go();
      } catch (error) {
        say(error.message);
      }
    };
    const decide = async (word) => {
      if (!state.asks) return;
      state.asks = false;
      state.did.push(word);
      if (word === "") part("lines").lastChild.firstChild.append(forced("end refused"));
      say(word === "stop" ? "Answering." : `End refused with ${spoken(word)}.`);
      controls();
      shareSession();
      await show(await ask("watch", "decide", word === "stop" ? null : word));
    };
    const cut = async () => {
      if (!state.thinking) return;
      Object.assign(state, { asks: false, cut: part("meter").value });
      say("Cut. Answering.");
      controls();
      shareSession();
      await show(await ask("watch", "cut"));
    };
    // Many generations, one after the other, until there are enough or the button is pressed again.
    const many = async (button, puzzles, samples, seen) => {
      if (button.dataset.busy) { delete button.dataset.busy; return; }
      if (!valid()) return;
      const label = button.textContent, chosen = settings(), reports = [];
      Object.assign(button, { textContent: "Stop" }).dataset.busy = "yes";
      try {
        for (const puzzle of puzzles) {
          for (let sample = 0; sample < samples && button.dataset.busy; sample++) {
            reports.push(await ask("bulk", "complete", puzzle, chosen, sample));
            seen(reports);
          }
        }
      } catch (error) {
        say(error.message);
      }
      delete button.dataset.busy;
      button.textContent = label;
      if (reports.length) seen(reports, chosen);
    };
    const spent = (reports) => reports.reduce((sum, one) => sum + one.thinkingTokens + one.answerTokens, 0);
    const vote = () => many(part("vote"), [valid()], 16, (reports, done) => {
      const groups = new Map();
      for (const report of reports.filter((one) => one.answer)) {
        groups.set(report.vote, [...(groups.get(report.vote) || []), report]);
      }
      const ranked = [...groups.values()].sort((a, b) => b.length - a.length);
      part("votes").replaceChildren(...ranked.map((group) => {
        const bar = make("i", "decoder-chance");
        bar.style.width = `${(100 * group.length) / reports.length}%`;
        const word = make("bdi", group[0].right ? "decoder-right" : "", told(group[0]));
        return make("li", "", word, make("span", "decoder-track", bar), make("b", "", String(group.length)));
      }));
      const cost = `${counted(spent(reports), "token")} for ${counted(reports.length, "sample")}`;
      if (!done) {
        if (reports.length % 4 === 0) part("voted").textContent = `${cost}.`;
        return;
      }
      const leaders = ranked.filter((group) => group.length === ranked[0].length);
      const winner = leaders.length === 1 ? `The vote says ${told(leaders[0][0])}` : `A tie of ${leaders.length} answers`;
      const right = reports.filter((report) => report.right).length;
      part("voted").textContent = `${ranked.length ? winner : "Nobody answered"}. It cost ${cost}, where one sample ` +
        `costs ${Math.round(spent(reports) / reports.length)}; ${right} of ${reports.length} samples are right.`;
    });
    const runMany = () => {
      const puzzles = data.puzzles.slice(0, Number(part("many").value)).map(readPuzzle);
      return many(part("run"), puzzles, 1, (reports, done) => {
        const n = reports.length, right = reports.filter((report) => report.right).length;
        const tokens = reports.reduce((sum, report) => sum + report.thinkingTokens, 0) / n;
        const point = { kind: "yours", tokens, ...decoderWilson(right, n) };
        if (!done) {
          if (n % 10 === 0) part("ran").textContent = `${n} of ${puzzles.length}: ${right} right.`;
          return;
        }
        const waits = done.waits ? `${spoken(done.ignore)} ${done.waits}×` : "no Wait";
        point.label = `Budget ${done.budget}, ${waits}, temperature ${done.temperature}, seed ${done.seed}`;
        curve.push(point);
        drawCurve();
        const same = data.curve.find((ours) => ours.budget === done.budget && ours.waits === done.waits &&
          (done.ignore === "Wait" || !done.waits) && done.temperature === data.temperature);
        const text = `${point.label}: ${measured(point)} at ${Math.round(tokens)} thinking tokens, n = ${n}.`;
        const beside = same ? ` Ours: ${measured(same)} at ${Math.round(same.tokens)}.` : "";
        part("ran").textContent = "";
        part("points").append(make("li", "", text + beside));
      });
    };

    // ---- the curve: thinking tokens (doublings) from left to right, accuracy upwards
    const drawCurve = () => {
      if (!curve.length) return;
      const box = { left: 44, right: 610, top: 14, bottom: 286 };
      const tokens = curve.map((p) => Math.max(p.tokens, 1)), most = Math.max(...tokens), least = Math.min(...tokens);
      const width = Math.log2(most / least) + 0.6;
      const top = Math.min(1, Math.ceil(10 * Math.max(...curve.map((p) => p.high))) / 10);
      const along = (count) => (Math.log2(Math.max(count, 1) / least) + 0.3) / width;
      const x = (count) => box.left + along(count) * (box.right - box.left);
      const y = (share) => box.bottom - (share / top) * (box.bottom - box.top);
      const label = (at, up, text, anchor) => draw("text", { x: at, y: up, "text-anchor": anchor }, text);
      const svg = draw("svg", { viewBox: "0 0 620 330", role: "img" });
      svg.setAttribute("aria-label", `Accuracy against thinking tokens: ${data.curve.length} points of ours` +
        `, ${curve.length - data.curve.length} of yours, told in the list below.`);
      for (let share = 0; share <= top + 0.01; share += 0.2) {
        svg.append(draw("path", { class: "decoder-grid", d: `M${box.left} ${y(share)}H${box.right}` }),
          label(box.left - 8, y(share) + 4, `${Math.round(100 * share)}%`, "end"));
      }
      for (let mark = 2 ** Math.ceil(Math.log2(least)); mark <= most; mark *= 2) {
        svg.append(label(x(mark), 306, String(mark), "middle"));
      }
      svg.append(label((box.left + box.right) / 2, 325, "average thinking tokens", "middle"));
      for (const [series, other] of [["capping", "wait"], ["wait", "budget"]]) {
        const shown = curve.filter((p) => p.kind !== other && p.kind !== "yours");
        const path = shown.map((p) => `${x(p.tokens)} ${y(p.accuracy)}`).join("L");
        if (shown.length > 1) svg.append(draw("path", { class: `decoder-line decoder-${series}`, d: `M${path}` }));
      }
      const capping = "m-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0";
      const shapes = { capping, wait: "m0 -6.5l6 10.5h-12z", yours: "m0 -9l8 9l-8 9l-8 -9z" };
      for (const p of curve) {
        const place = `M${x(p.tokens)} ${y(p.accuracy)}`, series = p.kind in shapes ? p.kind : "capping";
        svg.append(draw("g", { class: `decoder-point decoder-${series}` },
          draw("title", {}, `${p.label}: ${measured(p)} at ${Math.round(p.tokens)} tokens`),
          draw("path", { class: "decoder-interval", d: `M${x(p.tokens)} ${y(p.low)}V${y(p.high)}` }),
          draw("path", { class: "decoder-dot", d: place + shapes[series] })));
      }
      const key = { capping: "● ours, capped", wait: "▲ ours, Waits", yours: "◆ yours" };
      const legend = Object.entries(key).map(([series, text]) => make("span", `decoder-key decoder-${series}`, text));
      part("curve").replaceChildren(make("p", "decoder-legend", ...legend), svg);
    };

    // ---- buttons, keys, links
    const paused = () => {
      if (!state.loop) return go();
      state.loop = null;
      return controls();
    };
    const once = async () => {
      if (!state.open || state.asks) return;
      state.loop = null;
      await show(await ask("watch", "step", 1));
    };
    const decided = async (word) => { if (state.asks) { await decide(word); await go(); } };
    const afresh = () => {
      Object.assign(replay, { did: [], cut: null });
      start();
    };
    const another = () => {
      field.puzzle.value = data.puzzles[Math.floor(Math.random() * data.puzzles.length)];
      afresh();
    };
    const copy = async () => {
      part("link").select();
      // A page from a file or from plain http may have no clipboard: the link is selected, at least.
      const writing = navigator.clipboard?.writeText(part("link").value) ?? Promise.reject(new Error());
      const copied = await writing.then(() => true, () => false);
      part("copy").textContent = copied ? "Copied" : "Selected";
    };
    const cutNow = async () => { await cut(); await go(); };
    const actions = { another, pause: paused, once, cut: cutNow, vote, run: runMany, copy };
    const keys = { w: "Wait", h: "Hmm", a: "Alternatively", n: "", e: "stop" };
    form.addEventListener("submit", (event) => { event.preventDefault(); afresh(); });
    form.addEventListener("change", () => share(set()));
    root.addEventListener("click", ({ target }) => {
      const button = target.closest("button");
      if (!button) return;
      if (button.dataset.do) actions[button.dataset.do]();
      else if (button.dataset.word !== undefined) decided(button.dataset.word);
    });
    root.addEventListener("keydown", (event) => {
      if (event.altKey || event.ctrlKey || event.metaKey || event.target.matches("input, select")) return;
      const key = event.key.toLowerCase(), more = { c: cutNow, p: () => state.open && paused(), t: once };
      if (key in keys) decided(keys[key]);
      else if (key in more) more[key]();
      else return;
      event.preventDefault();
    });
    const follow = () => {
      if (!/^#try(\?|$)/.test(location.hash)) return;
      readLink();
      root.scrollIntoView();
      root.focus({ preventScroll: true });
      start();
    };
    root.hidden = false;
    part("settings").open = matchMedia("(min-width: 720px)").matches; // a phone has no room to spare
    drawCurve();
    controls();
    part("link").value = location.href.split("#")[0] + "#try";
    addEventListener("hashchange", follow);
    follow();
  };

  const begin = () => document.querySelectorAll(".decoder").forEach(enhance);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin();
})();
