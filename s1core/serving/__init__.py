"""Budget forcing inside vLLM: machines in tensors, plugged into either of its runners."""
