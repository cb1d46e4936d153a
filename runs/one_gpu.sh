#!/usr/bin/env bash
# Everything that a profile measures, on one machine: first the checks, then every run.
# Started again after a stop, it goes on. The pages: make notebooks book PROFILE=h100
#
#   runs/one_gpu.sh
#   PROFILE=my.yaml S1CORE_DATA_DIR=/data/mirror runs/one_gpu.sh
set -eu -o pipefail

profile=${PROFILE:-h100}
python=${PYTHON:-python}

export PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True

"$python" -m s1core.cli preflight "$profile"
exec "$python" -m s1core.cli reproduce "$profile" --yes
