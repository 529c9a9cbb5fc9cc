import { execa } from 'execa';
import { TriggerDeployError } from '../../../shared/errors.ts';

/** The environment and the user of a child process. */

/**
 * Variables that no child process inherits. With NOTIFY_SOCKET and WATCHDOG_* a child could send messages to systemd as
 * if it were the agent (sd_notify(3)). The unit's MALLOC_* make the agent small; they would make a JVM slow. The others
 * are the agent's AWS credentials, or give access to them.
 */
const WITHHELD = new Set([
  'NOTIFY_SOCKET',
  'WATCHDOG_PID',
  'WATCHDOG_USEC',
  'MALLOC_ARENA_MAX',
  'MALLOC_MMAP_THRESHOLD_',
  'MALLOC_TRIM_THRESHOLD_',
  'MALLOC_TOP_PAD_',
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'AWS_SECURITY_TOKEN',
  'AWS_CREDENTIAL_EXPIRATION',
  'AWS_PROFILE',
  'AWS_DEFAULT_PROFILE',
  'AWS_SHARED_CREDENTIALS_FILE',
  'AWS_CONFIG_FILE',
  'AWS_ROLE_ARN',
  'AWS_ROLE_SESSION_NAME',
  'AWS_WEB_IDENTITY_TOKEN_FILE',
  'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI',
  'AWS_CONTAINER_CREDENTIALS_FULL_URI',
  'AWS_CONTAINER_AUTHORIZATION_TOKEN',
  'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE',
]);

/** `environment` without the variables that belong to the agent alone. */
export function childEnvironment(environment: NodeJS.ProcessEnv): Record<string, string> {
  const passed: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment)) {
    if (value !== undefined && !WITHHELD.has(name)) passed[name] = value;
  }
  return passed;
}

interface User {
  name: string;
  uid: number;
  gid: number;
  home: string;
}

/** A line of passwd(5): `name:password:uid:gid:comment:home:shell`. */
function parsePasswd(line: string): User | undefined {
  const [name, , uid, gid, , home] = line.trim().split(':');
  if (!name || !uid || !gid || !/^\d+$/.test(uid) || !/^\d+$/.test(gid)) return undefined;
  return { name, uid: Number(uid), gid: Number(gid), home: home || '/' };
}

/** The user, read by getent(1), which also knows users of a directory service. @throws COMMAND_FAILED. */
export async function findUser(user: string, signal: AbortSignal): Promise<User> {
  const found = parsePasswd(await entryOf('passwd', user, signal));
  if (!found) throw new TriggerDeployError('COMMAND_FAILED', `there is no user ${user}`);
  return found;
}

/** The id of the group, read by getent(1); undefined if there is none. */
export async function findGroupId(group: string, signal: AbortSignal): Promise<number | undefined> {
  // group(5): `name:password:gid:members`.
  const [name, , gid] = (await entryOf('group', group, signal)).split(':');
  return name && gid && /^\d+$/.test(gid) ? Number(gid) : undefined;
}

async function entryOf(database: 'passwd' | 'group', key: string, signal: AbortSignal): Promise<string> {
  const result = await execa('getent', [database, '--', key], {
    cancelSignal: signal,
    timeout: 10_000,
    reject: false,
    stdin: 'ignore',
    extendEnv: false,
    env: childEnvironment(process.env),
  });
  signal.throwIfAborted();
  return result.stdout.split('\n')[0] ?? '';
}

/**
 * How to run a command as `user`: a prefix for the argv, and variables. setpriv(1) sets the user, the group and the
 * supplementary groups, and executes the command without a new process: pid and exit code are those of the command.
 * @throws COMMAND_FAILED when the user is unknown, or when it is not the agent's user and the agent is not root.
 */
export async function runningAs(
  user: string | undefined,
  signal: AbortSignal,
): Promise<{ prefix: string[]; environment: Record<string, string> }> {
  if (user === undefined) return { prefix: [], environment: {} };
  const { name, uid, gid, home } = await findUser(user, signal);
  const environment = { USER: name, LOGNAME: name, HOME: home };
  const own = process.getuid?.();
  if (own === uid) return { prefix: [], environment };
  if (own !== 0) {
    throw new TriggerDeployError('COMMAND_FAILED', `only root can run a command as ${user}`, {
      hint: 'run the agent as root, or remove `user` from the config',
    });
  }
  return { prefix: ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--init-groups', '--'], environment };
}
