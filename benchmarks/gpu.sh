#!/usr/bin/env bash
# Everything that a machine with a GPU can tell about this package in under ten minutes, with torch
# and transformers alone: no vLLM, no network, no other package.
#
#   benchmarks/gpu.sh
#
# The contract of every engine on the GPU; what forcing costs, parts (a) to (c); fine-tuning 1.5B and
# 3B on rows of 32,768 tokens: tokens per second, share of peak, memory against the plan. The text
# lands in benchmarks/results/, by card and date, and the share of peak in the run store
# (S1CORE_STORE, default store/), from which `s1lab plan` is then made.
# DEVICE=cpu rehearses all of it with small sizes; its text goes to the terminal alone.
set -eu -o pipefail

cd "$(dirname "$0")/.."
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" HF_HUB_OFFLINE=1
python=${PYTHON:-python}
device=${DEVICE:-cuda}

if [ "$device" = cuda ]; then
  contract=() forcing=(--layers 28 --hidden 1536 --long 512 --repeats 2) sft=(--record "${S1CORE_STORE:-store}")
  card=$("$python" -c 'import torch; print(torch.cuda.get_device_name().replace(" ", "-"))')
  out="benchmarks/results/gpu-$card-$(date -u +%F).txt"
else
  contract=(--shape tiny) out=/dev/null
  forcing=(--rows 4 --tokens 16 --thought 8 --short 8 --long 32 --layers 2 --hidden 64 --repeats 1)
  sft=(--tiny --tokens 512 --steps 3)
fi

{
  echo "# $(date -u +%F), $(uname -m), $device"
  status=0
  "$python" benchmarks/gpu_contract.py --device "$device" "${contract[@]}" || status=$?
  "$python" benchmarks/forcing.py --device "$device" --parts abc "${forcing[@]}" || status=$?
  "$python" benchmarks/sft_gpu.py --device "$device" "${sft[@]}" || status=$?
  echo "finished in $SECONDS s, status $status"
  exit "$status"
} 2>&1 | tee "$out"
