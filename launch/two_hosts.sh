#!/usr/bin/env bash
# The paper's profile on two hosts of eight GPUs with nothing but ssh. Start it on the first host:
# that one computes, and for each fine-tuning it calls this script again, with the arguments of
# the training, to start one torchrun per host. The run store (S1CORE_STORE), the models and this
# checkout with its environment must be at the same path on both.
#
#   HOSTS="node1 node2" S1CORE_STORE=/shared/store launch/two_hosts.sh
#
# Settings: HOSTS (this one first), PER_HOST (processes on each, 8), PORT (29500), PYTHON, PROFILE.
set -eu -o pipefail

: "${HOSTS:?set HOSTS to the host names, this one first}"
export HOSTS PYTHON=${PYTHON:-python}

here=$(cd "$(dirname "$0")" && pwd)
if [ "$#" -eq 0 ]; then
  S1CORE_LAUNCH=$(printf '%q' "$here/two_hosts.sh")
  export S1CORE_LAUNCH PROFILE=${PROFILE:-paper}
  exec "$here/one_gpu.sh"
fi

read -r -a hosts <<<"$HOSTS"

# One line of shell for one host; printf %q quotes every value for the remote shell.
command_for() {
  local rank=$1
  shift
  printf '%q ' env PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True \
    "$PYTHON" -m torch.distributed.run \
    --nnodes "${#hosts[@]}" --node-rank "$rank" --nproc-per-node "${PER_HOST:-8}" \
    --master-addr "${hosts[0]}" --master-port "${PORT:-29500}" "$@"
}

children=()
trap 'kill "${children[@]}" 2>/dev/null || true' INT TERM EXIT
for rank in "${!hosts[@]}"; do
  line="cd $(printf '%q' "$PWD") && exec $(command_for "$rank" "$@")"
  if [ "$rank" -eq 0 ] || [ "${hosts[$rank]}" = localhost ]; then
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
trap - EXIT
exit "$status"
