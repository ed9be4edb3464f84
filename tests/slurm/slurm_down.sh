#!/usr/bin/env bash
# slurm_down.sh FOLDER: cancels all jobs, stops what slurm_up.sh started there, and puts back the configuration before it.
set -uo pipefail

folder=$(realpath -m "${1:?the folder that slurm_up.sh was given}")
etc=/etc/slurm

export SLURM_CONF="$folder/slurm.conf"
if timeout 20 squeue -h -o %A >"$folder/left" 2>/dev/null && [ -s "$folder/left" ]; then
    xargs timeout 20 scancel <"$folder/left"
    sleep 3
fi
for name in slurmd.pid slurmctld.pid munge/pid; do
    pid=$(cat "$folder/$name" 2>/dev/null) || continue
    kill -TERM "$pid" 2>/dev/null
    for _ in $(seq 80); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null
    rm -f "$folder/$name"
done
for name in slurm.conf gres.conf; do
    if [ "$(readlink "$etc/$name")" = "$folder/$name" ]; then
        rm "$etc/$name"
        if [ -e "$folder/before/$name" ] || [ -L "$folder/before/$name" ]; then mv "$folder/before/$name" "$etc/$name"; fi
    fi
done
exit 0
