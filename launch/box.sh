#!/usr/bin/env bash
# Everything that a profile measures, on one machine with one GPU or eight: first the checks, then
# every run. Started again after a stop, it goes on. What is said is also kept in log.txt in the run
# store, what the server says in server.log. The pages, afterwards: make notebooks book PROFILE=box
#
#   launch/box.sh
#   PROFILE=h100 S1CORE_DATA_DIR=/data/mirror launch/box.sh
set -eu -o pipefail

profile=${PROFILE:-box}
python=${PYTHON:-python}

export PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True

store=${S1CORE_STORE:-store}
mkdir -p "$store"
exec > >(tee -a "$store/log.txt") 2>&1
date

"$python" -m s1lab.cli preflight "$profile"
exec "$python" -m s1lab.cli reproduce "$profile" --yes
