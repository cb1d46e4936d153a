#!/usr/bin/env bash
# Stands for Slurm's: the command once per node, on this machine; one that fails ends the others.
while [[ $1 == --* ]]; do shift; done
exec 3<&0
for ((node = 0; node < SLURM_NNODES; node++)); do SLURM_PROCID=$node "$@" <&3 & done
status=0
for ((node = 0; node < SLURM_NNODES; node++)); do
  wait -n || { status=$?; kill $(jobs -p) 2>/dev/null || true; }
done
exit $status
