#!/bin/sh
# A hook that notes its begin and its end in DIR/hooks.log, and `two` when another one runs beside it: it holds a lock
# while anything of its process group lives. A file gate-NAME in DIR holds it until the file is gone; that it got there
# is shown by a file reached-NAME. A file deaf in DIR makes it ignore TERM.
# usage: service-hook.sh NAME DIR
set -eu
name=$1
cd "$2"

note() { echo "$1 $name $TRIGGER_DEPLOY_DEPLOYMENT $TRIGGER_DEPLOY_ACTION" >>hooks.log; }

exec 9>>hooks.lock
flock -n 9 || note two
note begin
if [ -e deaf ]; then trap '' TERM; fi
if [ -e "gate-$name" ]; then
  : >"reached-$name"
  while [ -e "gate-$name" ]; do sleep 0.02; done
fi
note end
