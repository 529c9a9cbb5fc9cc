#!/bin/sh
# Starts, stops and asks after a program that runs in DIR, as an init script would: the argv of a `command`
# service manager. usage: control.sh start|stop|status DIR PROGRAM [ARGUMENT…]
set -eu
action=$1 dir=$2
shift 2
pid_file=$dir/service.pid

running() {
  [ -s "$pid_file" ] || return 1
  pid=$(cat "$pid_file")
  kill -0 "$pid" 2>/dev/null || return 1
  # A zombie takes signals, too, where no process reaps it.
  ! grep -q '^State:[[:space:]]*Z' "/proc/$pid/status" 2>/dev/null
}

case $action in
  start)
    cd "$dir"
    # A session of its own: it outlives the process that starts it.
    setsid "$@" </dev/null >>service.log 2>&1 &
    echo $! >"$pid_file"
    ;;
  stop)
    if running; then kill "$pid"; fi
    while running; do sleep 0.02; done
    rm -f "$pid_file"
    ;;
  status)
    running || exit 3
    ;;
  *)
    echo "control.sh: no such action: $action" >&2
    exit 2
    ;;
esac
