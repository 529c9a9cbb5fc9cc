import { AGENT_UNIT, type Host } from './site.ts';

/** Local users of an instance who attack what is root's, and the programs they do it with. */

/** Runs services, owns `/srv/shop`. */
export const SERVICE_USER = 'shop';
/** Has an account and nothing else. */
export const OTHER_USER = 'mallory';
/** Only root can read what is in it. */
export const SECRET_DIR = '/root/secret';
export const SECRET = 'only-for-root';
export const INTRUDE = '/usr/local/bin/intrude';
/** What came of the attacks of `INTRUDE`: a line for each that succeeded, and `done`. */
const OUTCOMES = '/run/intruder';
const SPOOL = '/var/lib/trigger-deploy/local';

/**
 * Sends systemd what could replace, stop or blind the agent, by its own pid and, as far as the kernel lets it, by that of
 * the agent. systemd-notify waits until systemd has seen each message. Then it looks for orders and their files.
 */
const INTRUDE_SCRIPT = `#!/bin/sh
set -eu
out=${OUTCOMES}/$1
export NOTIFY_SOCKET=/run/systemd/notify
agent=$(systemctl show -p MainPID --value ${AGENT_UNIT})
for message in "MAINPID=$$" READY=1 RELOADING=1 STATUS=intruder ERRNO=5 WATCHDOG_USEC=1 EXTEND_TIMEOUT_USEC=1 STOPPING=1 WATCHDOG=trigger; do
  systemd-notify "$message"
  systemd-notify --pid="$agent" "$message"
done
: >"$out"
got() { "$@" >/dev/null 2>&1 && echo "$*" >>"$out" || :; }
got ls ${SPOOL}
got mkdir ${SPOOL}/by-intruder
for file in $(cat ${OUTCOMES}/orders 2>/dev/null) ${SPOOL}/*; do
  got cat "$file/order.json"
  got ls "$file/files"
  got ln -s ${SECRET_DIR} "$file/files/link"
done
echo done >>"$out"
`;

/** The users, the secret, and what of the service user's is there. */
export async function letIn(host: Host): Promise<void> {
  for (const user of [SERVICE_USER, OTHER_USER]) await host.ok(['useradd', '--create-home', user]);
  await host.write(`${SECRET_DIR}/till.jar`, `${SECRET}\n`, 0o600);
  await host.write(`${SECRET_DIR}/victim.pid`, '', 0o600);
  await host.ok(['chmod', '-R', 'go=', SECRET_DIR]);
  await host.ok(['install', '-d', '-o', SERVICE_USER, '-g', SERVICE_USER, '/srv/shop']);
  await host.ok(['install', '-d', '-m', '1777', OUTCOMES]);
  await host.write(INTRUDE, INTRUDE_SCRIPT, 0o755);
}

/** Runs a script as one of the users, to its end. */
export const by = (host: Host, user: string, script: string) =>
  host.run(['runuser', '-u', user, '--', 'sh', '-euc', script]);

/** Runs a script as one of the users in a unit of its own, as a login or a cron job would. */
export const inUnit = (host: Host, user: string, script: string) =>
  host.ok(['systemd-run', '--quiet', '--wait', '--pipe', '--collect', `--uid=${user}`, 'sh', '-euc', script]);

/** Starts a program as one of the users, as the unit `name`, which goes on. Returns its pid. */
export async function leave(
  host: Host,
  name: string,
  user: string,
  argv: readonly string[],
): Promise<number> {
  const limits = '--property=LimitNOFILE=100000';
  await host.ok(['systemd-run', '--quiet', `--unit=${name}`, `--uid=${user}`, limits, ...argv]);
  return Number((await host.show(name, 'MainPID')).MainPID);
}

/** A script that puts an order into the spool: to roll `payments` back. */
export function orderBy(deployment: string): string {
  const order = {
    ...{ v: 1, deployment, service: 'payments', version: '1', action: 'rollback', artifacts: [] },
    ...{ by: 'root', at: new Date().toISOString() },
  };
  const place = `${SPOOL}/${deployment}`;
  return `mkdir ${place}; echo '${JSON.stringify(order)}' >${place}/order.json`;
}

/** The attacks of a run of `INTRUDE` that succeeded; undefined where it did not come to its end. */
export async function outcomesOf(host: Host, run: string): Promise<string[] | undefined> {
  const lines = ((await host.read(`${OUTCOMES}/${run}`)) ?? '').split('\n').slice(0, -1);
  return lines.pop() === 'done' ? lines : undefined;
}

/** All that changes when somebody creates, replaces, deletes or chmods there; of the secrets, when they are read too. */
export async function stateOf(host: Host, ...paths: readonly string[]): Promise<string> {
  const format = '%p %i %y %m %U %G %s %T@ %C@ %l\\n';
  const files = await host.ok(['find', ...paths, '-printf', format]);
  const secrets = await host.ok(['find', SECRET_DIR, '-type', 'f', '-printf', '%p %n %A@\\n']);
  return `${files}${secrets}`.split('\n').sort().join('\n');
}

/** Files below `path` with the contents of a secret. No link is followed. */
export async function secretsIn(host: Host, path: string): Promise<string> {
  return (await host.run(['grep', '-rlE', `${SECRET}|^root:`, path])).stdout;
}

export const isAlive = async (host: Host, pid: number) =>
  (await host.run(['sh', '-c', `kill -0 ${pid}`])).exitCode === 0;

/** Waits until the process `pid` is gone, and makes it the pid of a process of root. */
const TAKE_PID = `
my $pid = shift;
select undef, undef, undef, 0.005 while -e "/proc/$pid/stat";
for (1 .. 1000) {
  open my $last, '>', '/proc/sys/kernel/ns_last_pid' or die $!;
  print $last $pid - 1;
  close $last or die $!;
  defined(my $child = fork) or die $!;
  exec 'setsid', 'sh', '-c', 'exec sleep 1000 >/dev/null 2>&1' unless $child;
  exit 0 if $child == $pid;
  kill 'KILL', $child;
  waitpid $child, 0;
}
die "pid $pid cannot be taken";
`;

/** Resolves when a process of root has the pid that another process had until then. */
export async function takePid(host: Host, pid: number): Promise<void> {
  // Of an instance /proc/sys is read-only.
  const script = 'mount -t proc proc /proc; exec perl -e "$0" "$1"';
  await host.ok(['unshare', '--mount', 'sh', '-euc', script, TAKE_PID, String(pid)]);
}
