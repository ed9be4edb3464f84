#!/usr/bin/env bash
# status.sh ID: says running, success or failed of a job that submit.sh started.
set -euo pipefail
script=$1
if [ -e "$script.status" ]; then
    [ "$(cat "$script.status")" = 0 ] && echo success || echo failed
elif kill -0 "$(cat "$script.pid")" 2>/dev/null || [ -e "$script.status" ]; then
    echo running
else
    echo failed # it was killed before it could say how it ended
fi
