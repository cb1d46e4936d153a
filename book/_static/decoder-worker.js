// What the worker does: it decodes. The page asks for a step, a whole generation or an answer, and
// gets it; nothing runs unasked, so a pause is a page that asks for nothing.
function decoderWorker(shipped) {
  "use strict";
  const model = decoderModel(shipped), { vocabulary, prompt, forcing } = shipped;
  const ids = new Map(vocabulary.map((word, id) => [word, id])), start = model.mark();

  // ---- text

  // The tokenizer knows words, numbers and signs; blanks only part them.
  const encode = (text) => (text.match(/\d+|[A-Za-z]+|[^\sA-Za-z\d]/g) || []).map((word) => {
    const id = ids.get(word);
    if (id === undefined) throw new Error(`the model does not know “${word}”`);
    return id;
  });
  const decode = (tokens) => tokens.map((id) => vocabulary[id]).join(" ").replace(/ ?\n ?/g, "\n");
  // What was answered, as s1core/grading/extraction.py finds it: after the last cue, or the first line.
  const answerOf = (machine) => {
    let said = machine.tokens.filter((t) => t.phase === "answer" && t.origin === "sampled").map((t) => t.id);
    const { endIds } = machine.rules;
    while (said[0] === endIds[0]) { // a second close is no part of the answer
      let same = 1;
      while (same < endIds.length && said[same] === endIds[same]) same++;
      said = said.slice(same);
    }
    const text = decode(said.filter((id) => !forcing.special.includes(id)));
    const cue = [...text.matchAll(/final +answer *:/gi)].pop() || [...text.matchAll(/answer *:/gi)].pop();
    const line = (from) => text.slice(from).split("\n").map((part) => part.trim()).find(Boolean) || "";
    const answer = (cue && line(cue.index + cue[0].length)) || line(0);
    // Cut off at the very end, it may have lost its last words.
    const whole = machine.finishReason === "stop" || text.trimStart().slice(answer.length).includes("\n");
    return whole ? answer : "";
  };

  // ---- arithmetic, exact: fractions of whole numbers of any length, and the numbers that were used

  const workOut = (expression) => {
    const text = expression.split("=")[0].trim();
    if (!/^[\d\s+\-*/()]{1,200}$/.test(text) || /\d{7}|\*\s*\*|\/\s*\//.test(text)) return null;
    const parts = text.match(/\d+|[+\-*/()]/g) || [], used = [];
    let at = 0;
    const factor = () => {
      const part = parts[at++];
      if (part === "(") {
        const value = sum();
        if (parts[at++] !== ")") throw new Error("a bracket is not closed");
        return value;
      }
      if (!/^\d/.test(part)) throw new Error("a number is missing");
      used.push(Number(part));
      return [BigInt(part), 1n];
    };
    const product = () => {
      let [top, bottom] = factor();
      while (parts[at] === "*" || parts[at] === "/") {
        const times = parts[at++] === "*", [p, q] = factor();
        [top, bottom] = times ? [top * p, bottom * q] : [top * q, bottom * p];
        if (bottom === 0n) throw new Error("division by nothing");
      }
      return [top, bottom];
    };
    const sum = () => {
      let [top, bottom] = product();
      while (parts[at] === "+" || parts[at] === "-") {
        const sign = parts[at++] === "+" ? 1n : -1n, [p, q] = product();
        [top, bottom] = [top * q + sign * p * bottom, bottom * q];
      }
      return [top, bottom];
    };
    try {
      const [top, bottom] = sum();
      if (at < parts.length) return null;
      return { top, bottom, used: used.sort((a, b) => a - b).join(" ") };
    } catch {
      return null; // no arithmetic: wrong, and nothing more to say about it
    }
  };
  const check = ({ numbers, target }, answer) => {
    const found = workOut(answer);
    return Boolean(found) && found.top === BigInt(target) * found.bottom &&
      found.used === [...numbers].sort((a, b) => a - b).join(" ");
  };
  // Which answers are one vote: the same numbers and the same value.
  const ballot = (answer) => {
    const found = workOut(answer);
    if (!found) return answer;
    const gcd = (a, b) => (b ? gcd(b, a % b) : a < 0n ? -a : a), common = gcd(found.top, found.bottom);
    const sign = found.bottom < 0n ? -1n : 1n;
    return `${(sign * found.top) / common}/${(sign * found.bottom) / common} of ${found.used}`;
  };

  // ---- chance, as s1core/backends/sampling.py has it: every draw is a function of (seed, puzzle,
  // sample, draw number), so the same settings give the same tokens, here and there

  const uniform = (seed, draw) => {
    const wrap = (value) => BigInt.asUintN(64, value);
    let state = wrap(seed + BigInt(draw + 1) * 0x9e3779b97f4a7c15n); // splitmix64
    state = wrap((state ^ (state >> 30n)) * 0xbf58476d1ce4e5b9n);
    state = wrap((state ^ (state >> 27n)) * 0x94d049bb133111ebn);
    return Number((state ^ (state >> 31n)) >> 11n) * 2 ** -53;
  };
  const rowSeed = (seed, question, sample) => {
    const key = decoderSha256(question).slice(0, 16);
    return BigInt("0x" + decoderSha256(`${seed}:${key}:${sample}`).slice(0, 16)) >> 1n;
  };
  const probabilities = (logits, temperature) => {
    const heat = temperature || 1, largest = Math.max(...logits);
    const weights = Array.from(logits, (logit) => Math.exp((logit - largest) / heat));
    const total = weights.reduce((a, b) => a + b);
    return weights.map((weight) => weight / total);
  };
  const choose = (logits, temperature, chance) => {
    if (!temperature) return logits.indexOf(Math.max(...logits));
    let sum = 0;
    const sums = probabilities(logits, temperature).map((p) => (sum += p));
    const found = sums.findIndex((upTo) => upTo > chance * sum);
    return found < 0 ? sums.findLastIndex((upTo, i) => i === 0 || upTo > sums[i - 1]) : found;
  };

  // ---- one generation

  const rulesOf = ({ budget, waits, ignore }) => ({
    ...forcing.rules, maxThinking: budget, numIgnore: waits, minThinking: 0,
    ignoreIds: [forcing.ignore[ignore]],
  });
  const open = (puzzle, settings, sample) => {
    const question = [...prompt.before, ...encode(puzzle.question), ...prompt.after];
    const machine = new DecoderMachine(rulesOf(settings), question, shipped.config.context);
    model.back(start);
    question.forEach(model.feed);
    machine.start().forEach(model.feed);
    return { machine, puzzle, settings, seed: rowSeed(settings.seed, puzzle.question, sample) };
  };
  const expected = (machine) => {
    const logits = model.logits();
    if (machine.suppress) for (const stop of machine.stops) logits[stop] = -Infinity;
    return logits;
  };
  const follow = (machine, id) => {
    const dropped = machine.stops.includes(id), forced = machine.take([id]);
    if (machine.finished) return;
    if (!dropped) model.feed(id);
    forced.forEach(model.feed);
  };
  const sampleNext = ({ machine, settings, seed }) =>
    choose(expected(machine), settings.temperature, settings.temperature && uniform(seed, machine.draws));
  const report = ({ machine, puzzle }) => {
    const answer = answerOf(machine), { thinkingTokens, waitsUsed, outcome } = machine;
    const answerTokens = machine.tokens.filter((t) => t.phase === "answer" && t.origin === "sampled").length;
    return { answer, right: check(puzzle, answer), vote: answer && ballot(answer),
      thinkingTokens, answerTokens, waitsUsed, outcome };
  };

  // ---- what the page may ask for

  let session = null;
  // The state of the session: tokens from `since` on, and what may come next.
  const look = (since) => {
    const { machine, settings, wanted } = session;
    const state = { tokens: machine.tokens.slice(since).map((t) => ({ ...t, text: vocabulary[t.id] })),
      thinkingTokens: machine.thinkingTokens, waitsUsed: machine.waitsUsed, phase: machine.phase,
      asks: wanted !== undefined, ends: machine.stops, finished: machine.finished };
    if (machine.finished) return { ...state, ...report(session) };
    const chances = probabilities(expected(machine), settings.temperature);
    const order = chances.map((_, id) => id).sort((a, b) => chances[b] - chances[a]).slice(0, 5);
    return { ...state, next: order.map((id) => ({ id, text: vocabulary[id], chance: chances[id] })) };
  };
  return {
    begin(puzzle, settings) {
      session = open(puzzle, settings, settings.sample || 0);
      return look(0);
    },
    // Up to `count` more tokens: to the end of the line, to where the reader decides, or to the end.
    step(count) {
      const { machine, settings } = session, since = machine.tokens.length;
      const lineEnds = () => machine.tokens.length > since && machine.rules.endsLine.includes(machine.last);
      while (count-- > 0 && !machine.finished && session.wanted === undefined && !lineEnds()) {
        const id = sampleNext(session);
        const ends = machine.phase === "thinking" && machine.stops.includes(id) && !machine.suppress;
        if (ends && settings.ask && machine.waitsUsed >= machine.rules.numIgnore) session.wanted = id;
        else follow(machine, id);
      }
      return look(since);
    },
    // The reader's word on the end that the model wants: null lets it stop, a string refuses it.
    decide(word) {
      const { machine, wanted } = session, since = machine.tokens.length, { rules } = machine;
      session.wanted = undefined;
      const refused = { numIgnore: machine.waitsUsed + 1, ignoreIds: [forcing.ignore[word]] };
      machine.rules = { ...rules, ...(word === null ? { numIgnore: 0 } : refused) };
      follow(machine, wanted);
      machine.rules = rules;
      return look(since);
    },
    cut() {
      const { machine } = session, since = machine.tokens.length;
      session.wanted = undefined;
      machine.cut().forEach(model.feed);
      return look(since);
    },
    // What would be answered if thinking stopped here: greedy, and then forgotten.
    stoppedHere() {
      const mark = model.mark(), machine = session.machine.clone();
      machine.cut().forEach(model.feed);
      while (!machine.finished) follow(machine, choose(model.logits(), 0));
      model.back(mark);
      return report({ machine, puzzle: session.puzzle });
    },
    // A whole generation; the session is over then.
    complete(puzzle, settings, sample) {
      session = open(puzzle, settings, sample);
      while (!session.machine.finished) follow(session.machine, sampleNext(session));
      return { ...report(session), ids: session.machine.tokens.map((t) => t.id) };
    },
    // For the tests, which ask Python the same.
    tested: { uniform, rowSeed, encode, decode, check, ballot },
  };
}

// sha256 of a text of ASCII, as 64 hex digits: what names a puzzle's random numbers.
function decoderSha256(text) {
  "use strict";
  const bits = (x) => ((x - Math.floor(x)) * 2 ** 32) | 0, rotate = (x, n) => (x >>> n) | (x << (32 - n));
  const primes = [];
  for (let n = 2; primes.length < 64; n++) if (primes.every((p) => n % p)) primes.push(n);
  const constants = primes.map((p) => bits(Math.cbrt(p)));
  let state = primes.slice(0, 8).map((p) => bits(Math.sqrt(p)));
  const bytes = [...text].map((letter) => letter.charCodeAt(0)).concat(128);
  while (bytes.length % 64 !== 56) bytes.push(0);
  for (let shift = 56; shift >= 0; shift -= 8) bytes.push(Math.floor((text.length * 8) / 2 ** shift) & 255);
  for (let at = 0; at < bytes.length; at += 64) {
    const words = Array.from({ length: 16 }, (_, i) =>
      bytes.slice(at + 4 * i, at + 4 * i + 4).reduce((word, byte) => (word << 8) | byte, 0));
    for (let i = 16; i < 64; i++) {
      const [x, y] = [words[i - 15], words[i - 2]];
      const s0 = rotate(x, 7) ^ rotate(x, 18) ^ (x >>> 3), s1 = rotate(y, 17) ^ rotate(y, 19) ^ (y >>> 10);
      words.push((words[i - 16] + s0 + words[i - 7] + s1) | 0);
    }
    let [a, b, c, d, e, f, g, h] = state;
    for (let i = 0; i < 64; i++) {
      const s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25), s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
      const t1 = (h + s1 + ((e & f) ^ (~e & g)) + constants[i] + words[i]) | 0;
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      [a, b, c, d, e, f, g, h] = [(t1 + t2) | 0, a, b, c, (d + t1) | 0, e, f, g];
    }
    state = [a, b, c, d, e, f, g, h].map((word, i) => (word + state[i]) | 0);
  }
  return state.map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
}
