// Budget forcing: `Machine` of s1core/forcing/budget.py, step by step in JavaScript. It decides when
// thinking goes on and when it ends; it samples nothing and holds no text.
//
//   thinking --end token, Waits left--> (drop it, append "Wait") --> thinking
//   thinking --end token, none left---> end delimiter --> answer                 outcome "ended"
//   thinking --maxThinking reached----> newline?, end delimiter, cue --> answer  "truncated"
//   thinking --context nearly full----> the same                                 "context"
//   answer   --end of turn, maxAnswer or the context--> finished
//
// `rules` are a budget in token ids: { maxThinking, numIgnore, minThinking, maxAnswer, ignoreIds,
// endIds, cueIds, newlineIds, endsLine, stops, eosIds, header }, as `Rules` in Python.
var DecoderMachine = class {
  constructor(rules, prompt, contextLength) {
    const closing = rules.newlineIds.length + rules.endIds.length + rules.cueIds.length;
    const spare = contextLength - prompt.length - closing;
    if (spare < 1) throw new Error("the prompt leaves no room for an answer");
    this.rules = rules;
    this.stops = rules.stops; // ids at which `take` must be asked at once
    this.phase = "thinking";
    this.outcome = "ended";
    this.finished = false;
    this.finishReason = "length";
    this.suppress = false; // the next token must not be one of `stops`
    this.waitsUsed = this.draws = this.thinkingTokens = 0;
    this.tokens = []; // everything after the prompt: { id, origin: "sampled" or "forced", phase }
    this.last = prompt[prompt.length - 1];
    this.thinkingLeft = Math.min(rules.maxThinking, Math.max(spare - rules.maxAnswer, 0));
    this.contextBinds = this.thinkingLeft < rules.maxThinking;
    this.contextLeft = contextLength - prompt.length;
    this.answerLeft = 0;
    this.held = []; // a header: the next token says what it opens
  }

  // A machine in the same state that goes its own way.
  clone() {
    const twin = Object.assign(Object.create(Object.getPrototypeOf(this)), this);
    return Object.assign(twin, { tokens: [...this.tokens], held: [...this.held] });
  }

  // Ids to append before anything is sampled: none, unless no thinking fits.
  start() {
    return this.thinkingLeft ? [] : this.cutThinking();
  }

  // Takes newly sampled ids, of which only the last may be one of `stops`: that one is dropped.
  // Returns the ids to append after them.
  take(sampled) {
    if (!sampled.length || this.finished) return [];
    const stopped = this.stops.includes(sampled[sampled.length - 1]);
    this.draws += sampled.length;
    if (this.phase === "answer") return this.takeAnswer(sampled, stopped);
    const mayWait = !(this.suppress && sampled.length === 1);
    this.suppress = false;
    this.append(stopped ? sampled.slice(0, -1) : sampled, "sampled", "thinking");
    if (stopped) return this.endOfThinking(mayWait);
    return this.thinkingLeft ? [] : this.cutThinking();
  }

  // The reader's own upper bound: as if the budget were used up here.
  cut() {
    this.contextBinds = false;
    return this.cutThinking();
  }

  // Answer tokens, up to an end of turn or to the header of another turn.
  takeAnswer(sampled, stopped) {
    const ids = [...this.held, ...sampled], { header, endIds } = this.rules;
    this.held = [];
    let at = ids.findIndex((id, place) => id === header && ids[place + 1] !== endIds[1]);
    if (at < 0) at = ids.length - (stopped ? 1 : 0);
    if (at === ids.length - 1 && !stopped && ids.length < this.answerLeft) {
      this.held = ids.slice(at);
    } else {
      this.finished = at < ids.length || ids.length === this.answerLeft;
      this.finishReason = at < ids.length ? "stop" : "length";
    }
    this.append(ids.slice(0, at), "sampled", "answer");
    return [];
  }

  // Rule 1: replace the end of thinking by the ignore string, or let thinking end.
  endOfThinking(mayWait) {
    const { numIgnore, minThinking, ignoreIds, endIds } = this.rules;
    const wanted = this.waitsUsed < numIgnore || this.thinkingTokens < minThinking;
    const wait = ignoreIds[this.waitsUsed % ignoreIds.length];
    // A suppressed end that comes back means that it cannot be suppressed: let it end.
    if (!(wanted && mayWait && wait.length <= this.thinkingLeft)) return this.beginAnswer("ended", endIds);
    this.waitsUsed += 1;
    this.suppress = wait.length === 0;
    this.append(wait, "forced", "thinking");
    return [...wait, ...(this.thinkingLeft ? [] : this.cutThinking())];
  }

  // Rules 2 and 3: the budget, or the context, is used up.
  cutThinking() {
    const { endsLine, newlineIds, endIds, cueIds } = this.rules;
    const newline = endsLine.includes(this.last) ? [] : newlineIds;
    return this.beginAnswer(this.contextBinds ? "context" : "truncated", [...newline, ...endIds, ...cueIds]);
  }

  beginAnswer(outcome, closing) {
    this.outcome = outcome;
    this.suppress = false;
    this.append(closing, "forced", "answer");
    this.phase = "answer";
    this.stops = this.rules.eosIds;
    this.answerLeft = Math.min(this.rules.maxAnswer, this.contextLeft);
    return closing;
  }

  append(ids, origin, phase) {
    if (!ids.length) return;
    for (const id of ids) this.tokens.push({ id, origin, phase });
    this.last = ids[ids.length - 1];
    this.contextLeft -= ids.length;
    if (phase === "thinking") {
      this.thinkingLeft -= ids.length;
      this.thinkingTokens += ids.length;
    } else if (origin === "sampled") {
      this.answerLeft -= ids.length;
    }
  }
};
