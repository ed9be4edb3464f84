#!/usr/bin/env bash
# cancel.sh ID...: ends jobs that submit.sh started, with all that they started.
set -uo pipefail
for script in "$@"; do
    kill -TERM -- "-$(cat "$script.pid")" 2>/dev/null
done
exit 0
