"""Temporary."""
from s1core.errors import BackendError
def replay(machine, token_ids, drops):
    dropped, sampled, forced = set(drops), [], list(machine.start())
    for place, token in enumerate(token_ids):
        if machine.finished:
            return
        if not forced and place in dropped:
            forced, sampled = machine.take([*sampled, min(machine.stops)]), []
        if forced:
            if forced.pop(0) != token:
                raise BackendError(f"vLLM returned id {token} where another was forced")
            continue
        sampled.append(token)
        if token in machine.stops or len(sampled) == machine.room:
            forced, sampled = machine.take(sampled), []
    machine.take(sampled)
