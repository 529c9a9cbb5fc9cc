#!/bin/sh
# The service manager of the kill matrix: runs the service in ROOT as an init script would, notes in events.jsonl
# what it does, and notices when two services of the instance live at once (the service holds a lock while it lives).
# A file `slow` beside it makes one start or stop take its time at the moments where being cut off hurts most.
# usage: kill-control.sh start|stop|status ROOT NODE SCRIPT HOST PORT
set -eu
action=$1 root=$2
shift 2
run=$root/run
pid_file=$run/service.pid

note() { printf '{"what":"%s","pid":%s}\n' "$1" "$$" >>"$root/events.jsonl"; }

is_alive() {
  [ -s "$pid_file" ] || return 1
  read -r pid <"$pid_file"
  { read -r stat <"/proc/$pid/stat"; } 2>/dev/null || return 1
  # A zombie takes signals, too, where no process reaps it; with threads left it still holds its socket.
  case $stat in *') Z '*) ;; *) return 0 ;; esac
  # shellcheck disable=SC2086
  set -- ${stat##*) }
  [ "${18}" -gt 1 ]
}

linger() { [ -z "$slow" ] || sleep 0.5; }
slow=
if [ "$action" != status ] && [ -e "$run/slow" ]; then slow=yes; rm -f "$run/slow"; fi

case $action in
  start)
    note start-begin
    linger
    exec 8>>"$run/service.lock"
    flock -n 8 || note two-services
    rm -f "$run/ready"
    setsid "$@" "$run/ready" </dev/null >>"$run/service.log" 2>&1 &
    pid=$!
    linger
    echo "$pid" >"$pid_file"
    # The lock is the service's alone from here on.
    exec 8>&-
    while [ ! -e "$run/ready" ] && is_alive; do sleep 0.01; done
    note start-end
    ;;
  stop)
    note stop-begin
    linger
    if is_alive; then kill "$pid"; fi
    while is_alive; do sleep 0.01; done
    linger
    rm -f "$pid_file"
    note stop-end
    ;;
  status)
    is_alive || exit 3
    ;;
esac
