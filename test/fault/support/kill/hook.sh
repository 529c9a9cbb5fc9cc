#!/bin/sh
# A hook of the kill matrix: notes in events.jsonl that it began and ended, and notices when another one runs beside
# it (it holds a lock while anything of its group lives).
# A file `hang` makes one run of it last until it is ended, `hang-drain` each beforeStop, `fail-drain` one beforeStop.
# usage: kill-hook.sh beforeStop|afterStart ROOT
set -eu
kind=$1 root=$2 run=$2/run

note() {
  printf '{"what":"%s","kind":"%s","deployment":"%s","version":"%s","pid":%s}\n' \
    "$1" "$kind" "$TRIGGER_DEPLOY_DEPLOYMENT" "$TRIGGER_DEPLOY_VERSION" "$$" >>"$root/events.jsonl"
}

exec 9>>"$run/hook.lock"
flock -n 9 || note two-hooks
note hook-begin
if [ -e "$run/hang" ]; then
  rm -f "$run/hang"
  sleep 60
fi
if [ "$kind" = beforeStop ] && [ -e "$run/hang-drain" ]; then sleep 60; fi
if [ "$kind" = beforeStop ] && [ -e "$run/fail-drain" ]; then
  rm -f "$run/fail-drain"
  exit 1
fi
note hook-end
