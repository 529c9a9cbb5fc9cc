#!/bin/sh
# The start command of a service that can be held or hang. A file gate-start-before or gate-start-after in DIR holds
# it, before the service is launched or between that and the note of its pid, until the file is gone; that it got
# there is shown by a file reached-NAME. A version whose behaviour says `startHangs` never lets it return.
# usage: service-start.sh DIR PROGRAM [ARGUMENT…]
set -eu
dir=$1
shift
cd "$dir"

gate() {
  [ -e "gate-$1" ] || return 0
  : >"reached-$1"
  while [ -e "gate-$1" ]; do sleep 0.02; done
}

hang() {
  if grep -q "\"startHangs\":\"$1\"" current/behaviour.json; then sleep 3600; fi
}

hang before
gate start-before
setsid "$@" </dev/null >>service.log 2>&1 9>&- &
pid=$!
gate start-after
echo "$pid" >service.pid
echo "$pid" >>starts
hang after
