// The pocket model in plain JavaScript: a Qwen2 decoder (RMSNorm, rotary positions, grouped
// queries, SwiGLU, tied embeddings) that takes one token at a time and keeps keys and values.
//
// Sums run in doubles where transformers has floats: the two then differ by less than transformers
// differs from exact arithmetic, and the most likely token is the same (tests/test_decoder.py).
// A function rather than a module, because its text is also what the worker is made of.
function decoderModel(shipped) {
  "use strict";
  const { config, tensors } = shipped;
  const { layers, heads, keyHeads, headSize, width, inner, context, epsilon } = config;
  const keyWidth = keyHeads * headSize, half = headSize / 2;

  // A weight is three digits of base 91, printable characters without the backslash, and every row
  // has a scale. 91³ levels a row are 19.5 bits: rounded to 16-bit floats, 4% of the answers
  // come out different; 32-bit floats would be 4.4 MB of text.
  const unpack = ([rows, columns, scales, digits]) => {
    const values = new Float32Array(rows * columns), middle = (91 ** 3 - 1) / 2;
    const digit = (at) => {
      const code = digits.charCodeAt(at);
      return code - 35 - (code > 92);
    };
    for (let i = 0; i < values.length; i++) {
      const level = (digit(3 * i) * 91 + digit(3 * i + 1)) * 91 + digit(3 * i + 2);
      values[i] = (level - middle) * scales[Math.floor(i / columns)];
    }
    return { rows, columns, values };
  };
  const weights = {};
  for (const [name, packed] of Object.entries(tensors)) weights[name] = unpack(packed);
  const embedding = weights["embed_tokens.weight"], lastNorm = weights["norm.weight"].values;
  const head = { ...embedding, rows: config.known }; // tied: the embedding of every known token
  const stack = Array.from({ length: layers }, (_, number) => {
    const of = (name) => weights[`layers.${number}.${name}`];
    return {
      attentionNorm: of("input_layernorm.weight").values,
      query: of("self_attn.q_proj.weight"), queryBias: of("self_attn.q_proj.bias").values,
      key: of("self_attn.k_proj.weight"), keyBias: of("self_attn.k_proj.bias").values,
      value: of("self_attn.v_proj.weight"), valueBias: of("self_attn.v_proj.bias").values,
      output: of("self_attn.o_proj.weight"),
      mlpNorm: of("post_attention_layernorm.weight").values,
      gate: of("mlp.gate_proj.weight"), up: of("mlp.up_proj.weight"), down: of("mlp.down_proj.weight"),
      // What was seen so far; a row per position.
      keys: new Float32Array(context * keyWidth), values: new Float32Array(context * keyWidth),
    };
  });

  // Room for one token's numbers, made once: this runs a thousand times a second.
  const room = (size) => new Float64Array(size);
  const hidden = room(width), normed = room(width), attended = room(width), change = room(width);
  const query = room(width), key = room(keyWidth), value = room(keyWidth), scores = room(context);
  const gate = room(inner), up = room(inner), logits = room(config.known);
  let length = 0;

  // out = matrix · vector (+ bias). Four sums at once, or each addition would wait for the last.
  const multiply = (out, { rows, columns, values }, vector, bias) => {
    for (let row = 0, at = 0; row < rows; row++) {
      let a = 0, b = 0, c = 0, d = 0;
      for (let column = 0; column < columns; column += 4, at += 4) {
        a += values[at] * vector[column];
        b += values[at + 1] * vector[column + 1];
        c += values[at + 2] * vector[column + 2];
        d += values[at + 3] * vector[column + 3];
      }
      out[row] = a + b + c + d + (bias ? bias[row] : 0);
    }
  };
  const normalise = (out, vector, weight) => {
    let squares = 0;
    for (let i = 0; i < width; i++) squares += vector[i] * vector[i];
    const scale = 1 / Math.sqrt(squares / width + epsilon);
    for (let i = 0; i < width; i++) out[i] = vector[i] * scale * weight[i];
  };
  // Rotary positions, in floats as transformers has them: an angle is a product of two floats.
  const rotate = (vector) => {
    for (let i = 0; i < half; i++) {
      const angle = Math.fround(length * config.frequencies[i]);
      const cosine = Math.fround(Math.cos(angle)), sine = Math.fround(Math.sin(angle));
      for (let first = i; first < vector.length; first += headSize) {
        const [left, right] = [vector[first], vector[first + half]];
        vector[first] = left * cosine - right * sine;
        vector[first + half] = right * cosine + left * sine;
      }
    }
  };
  const attend = ({ keys, values }) => {
    const seen = length + 1;
    for (let own = 0; own < width; own += headSize) {
      // Several heads of queries share one of keys and values.
      const shared = Math.floor((own * keyWidth) / width / headSize) * headSize;
      let largest = -Infinity, total = 0;
      for (let place = 0; place < seen; place++) {
        const at = place * keyWidth + shared;
        let a = 0, b = 0;
        for (let i = 0; i < headSize; i += 2) {
          a += query[own + i] * keys[at + i];
          b += query[own + i + 1] * keys[at + i + 1];
        }
        const score = (a + b) / Math.sqrt(headSize);
        scores[place] = score;
        if (score > largest) largest = score;
      }
      for (let place = 0; place < seen; place++) {
        scores[place] = Math.exp(scores[place] - largest);
        total += scores[place];
      }
      attended.fill(0, own, own + headSize);
      for (let place = 0; place < seen; place++) {
        const at = place * keyWidth + shared, share = scores[place] / total;
        for (let i = 0; i < headSize; i++) attended[own + i] += share * values[at + i];
      }
    }
  };
  const add = () => { for (let i = 0; i < width; i++) hidden[i] += change[i]; };

  return {
    // Read one more token.
    feed(token) {
      for (let i = 0; i < width; i++) hidden[i] = embedding.values[token * width + i];
      for (const layer of stack) {
        normalise(normed, hidden, layer.attentionNorm);
        multiply(query, layer.query, normed, layer.queryBias);
        multiply(key, layer.key, normed, layer.keyBias);
        multiply(value, layer.value, normed, layer.valueBias);
        rotate(query);
        rotate(key);
        layer.keys.set(key, length * keyWidth);
        layer.values.set(value, length * keyWidth);
        attend(layer);
        multiply(change, layer.output, attended);
        add();
        normalise(normed, hidden, layer.mlpNorm);
        multiply(gate, layer.gate, normed);
        multiply(up, layer.up, normed);
        for (let i = 0; i < inner; i++) gate[i] *= up[i] / (1 + Math.exp(-gate[i]));
        multiply(change, layer.down, gate);
        add();
      }
      length++;
    },
    // What may come next: a number for every token that the tokenizer knows; the same array each time.
    logits() {
      normalise(normed, hidden, lastNorm);
      multiply(logits, head, normed);
      return logits;
    },
    // A place to come back to: what comes after it is forgotten then.
    mark: () => ({ length, hidden: hidden.slice() }),
    back(mark) {
      length = mark.length;
      hidden.set(mark.hidden);
    },
  };
}
