#!/usr/bin/env bash
# submit.sh SCRIPT: starts a job on this machine and prints its id: an example of what a queue's own command does.
# What a job needs stands in its script, in the line `# properties = {...}`: threads, and resources such as mem_mb,
# runtime (minutes) and gpu. For a queue of your own, hand these to its command and print what it calls the job.
#
# Here a job that asks for a GPU waits for one of those that the variable GPUS names, such as GPUS=0,1,2, and sees that
# one alone.
set -euo pipefail
script=$1

run() {
    if [ -n "${GPUS:-}" ] && grep -q '^# properties = .*"gpu": [1-9]' "$script"; then
        # The lock is held as long as the job has the file open, and ends with it however it ends.
        until [ -n "${CUDA_VISIBLE_DEVICES_TAKEN:-}" ]; do
            for gpu in ${GPUS//,/ }; do
                exec 9>"${TMPDIR:-/tmp}/hypermix-$(id -u)-gpu$gpu"
                if flock --nonblock 9; then
                    export CUDA_VISIBLE_DEVICES="$gpu" CUDA_VISIBLE_DEVICES_TAKEN=1
                    break
                fi
            done
            [ -n "${CUDA_VISIBLE_DEVICES_TAKEN:-}" ] || sleep 1
        done
    fi
    status=0
    bash "$script" || status=$?
    echo "$status" >"$script.part"
    mv "$script.part" "$script.status"
}

export script
export -f run
setsid bash -c run </dev/null >"$script.log" 2>&1 &
echo "$!" >"$script.pid"
echo "$script"
