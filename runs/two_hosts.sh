#!/usr/bin/env bash
# The paper's run (Appendix D) on two hosts of eight H100 with nothing but ssh: start it on the
# first host; it starts the second and waits for both. MODEL, DATA and OUT must be on a file system
# that both hosts see, and this checkout and its environment at the same path on both.
#
#   HOSTS="node1 node2" MODEL=... DATA=... OUT=... runs/two_hosts.sh
set -eu -o pipefail

: "${HOSTS:?set HOSTS to two host names, this one first}"
: "${MODEL:?set MODEL to the folder of a transformers checkpoint}"
: "${DATA:?set DATA to a JSONL file of examples}"
: "${OUT:?set OUT to a folder on a shared file system}"

read -r -a hosts <<<"$HOSTS"
torchrun=$(command -v torchrun)

# One line of shell for one host; printf %q quotes every value for the remote shell.
command_for() {
  local rank=$1
  shift
  printf '%q ' env PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True \
    "$torchrun" --nnodes "${#hosts[@]}" --node-rank "$rank" --nproc-per-node 8 \
    --master-addr "${hosts[0]}" --master-port "${PORT:-29500}" \
    -m s1core.sft.launch \
    --model "$MODEL" --data "$DATA" --out "$OUT" \
    --set dtype=bfloat16 \
    --set optimizer_dtype=bfloat16 \
    --set activation_checkpointing=true \
    --set sequence_parallel=8 \
    "$@"
}

children=()
trap 'kill "${children[@]}" 2>/dev/null || true' INT TERM
for rank in "${!hosts[@]}"; do
  line="cd $(printf '%q' "$PWD") && $(command_for "$rank" "$@")"
  if [ "$rank" -eq 0 ]; then
    bash -c "$line" &
  else
    ssh -tt "${hosts[$rank]}" "$line" </dev/null &
  fi
  children+=("$!")
done

status=0
for child in "${children[@]}"; do
  wait "$child" || status=1
done
exit "$status"
