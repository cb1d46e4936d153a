given => given.map(([rules, context, steps]) => {
  let machine = new DecoderMachine(rules, [5, 6, 4], context);
  const forced = [machine.start()];
  for (const run of steps) {
    machine = machine.clone(); // which goes on as the machine would have
    forced.push(machine.take(run));
  }
  const ids = [...machine.tokens.map((token) => token.id), ...machine.held];
  return [forced, ids, machine.outcome, machine.finishReason, machine.waitsUsed,
    machine.thinkingTokens, machine.draws];
})
