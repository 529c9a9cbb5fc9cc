#!/bin/sh
# Installs trigger-deploy-agent {version} on systems without dpkg (Amazon Linux), or removes it. Run it as root.
#
#   ./install.sh            install or upgrade: keeps the config, restarts a running agent
#   ./install.sh --remove   stop the agent and remove its files; config and state stay
#   ./install.sh --purge    also remove config and state; deployed services continue to run
set -eu

here=$(cd "$(dirname "$0")" && pwd)
config=/etc/trigger-deploy/agent.yaml

fail() {
  printf 'install.sh: %s\n' "$1" >&2
  exit 1
}

has_systemd() { [ -d /run/systemd/system ]; }

files() { (cd "$here/files" && find . -type f | sed 's/^\.//'); }

install_files() {
  # Each file is replaced by a rename: a running agent keeps the file that it has open.
  files | while read -r path; do
    if [ "$path" = "$config" ] && [ -e "$path" ]; then continue; fi
    mkdir -p "$(dirname "$path")"
    cp "$here/files$path" "$path.new"
    chmod "$(stat -c %a "$here/files$path")" "$path.new"
    mv -f "$path.new" "$path"
    if command -v restorecon >/dev/null; then restorecon "$path" || true; fi
  done
}

remove_files() {
  if has_systemd; then systemctl stop trigger-deploy-agent.service 2>/dev/null || true; fi
  files | while read -r path; do
    if [ "$path" != "$config" ]; then rm -f "$path"; fi
  done
  rm -rf /usr/lib/trigger-deploy-agent /usr/share/doc/trigger-deploy-agent
}

purge() {
  rm -f /etc/systemd/system/multi-user.target.wants/trigger-deploy-agent.service /etc/default/trigger-deploy-agent "$config"
  rm -rf /var/lib/trigger-deploy /etc/systemd/system/trigger-deploy-agent.service.d /etc/trigger-deploy/keys
  rmdir /etc/trigger-deploy 2>/dev/null || true
}

[ "$(id -u)" -eq 0 ] || fail 'run this script as root'
if command -v dpkg >/dev/null && dpkg -s trigger-deploy-agent >/dev/null 2>&1; then
  fail 'trigger-deploy-agent was installed by dpkg: use the .deb package'
fi

case "${1-}" in
  '')
    "$here/files/usr/lib/trigger-deploy-agent/node" --version >/dev/null ||
      fail 'the included Node does not run here: it needs glibc 2.28 (Amazon Linux 2023, not 2) and this architecture'
    install_files
    # The agent starts in half the time with it, and works without it.
    lib=/usr/lib/trigger-deploy-agent
    "$lib/node" "$lib/trigger-deploy-agent.compile.js" </dev/null >/dev/null 2>&1 || true
    if has_systemd; then
      systemctl daemon-reload
      systemctl --no-block try-restart trigger-deploy-agent.service
    fi
    printf 'installed. Next: edit %s, run trigger-deploy-agent check, then systemctl enable --now trigger-deploy-agent\n' "$config"
    ;;
  --remove | --purge)
    remove_files
    if [ "$1" = --purge ]; then purge; fi
    if has_systemd; then systemctl daemon-reload; fi
    ;;
  *) fail "usage: $0 [--remove | --purge]" ;;
esac
