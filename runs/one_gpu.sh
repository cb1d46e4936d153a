#!/usr/bin/env bash
# Full fine-tuning on one GPU of 80 GB: Qwen2.5-7B-Instruct, packed, weights and moments in bf16.
# Not the paper's size (32B); the recipe is otherwise the paper's. See the plan first:
#   s1core plan h100
#
#   MODEL=/models/Qwen2.5-7B-Instruct DATA=s1K.jsonl OUT=out/7b runs/one_gpu.sh
set -eu -o pipefail

: "${MODEL:?set MODEL to the folder of a transformers checkpoint}"
: "${DATA:?set DATA to a JSONL file of examples}"
: "${OUT:?set OUT to the folder for log, checkpoints and the final model}"

export PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True

# The same command resumes a run that was stopped.
exec python -m s1core.sft.launch \
  --model "$MODEL" --data "$DATA" --out "$OUT" \
  --set dtype=bfloat16 \
  --set master_dtype=bfloat16 \
  --set optimizer_dtype=bfloat16 \
  --set activation_checkpointing=true \
  --set max_seq_len="${MAX_SEQ_LEN:-16384}" \
  "$@"
