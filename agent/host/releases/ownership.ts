import type { Stats } from 'node:fs';
import { join } from 'node:path';
import { isCode, TriggerDeployError } from '../../../shared/errors.ts';
import type { Finding } from '../../deploy/ports.ts';
import { lstatIfAny } from '../fs/durable-files.ts';
import { isOpenToOthers, isReplaceableByOthers, isTrustedUser, stepsTo } from '../fs/trusted-path.ts';
import { findUser } from '../process/run-as.ts';

/**
 * Checks whether users other than root and the agent's can change what a service runs. A user who can write to the
 * service's directory, or to a directory above it, could replace a release while root verifies it, or make root delete
 * files elsewhere.
 */

const LOOKUP_MS = 10_000;
/** The directories of a service that the agent makes. A staging directory that is none is left alone: see staging.ts. */
const INSIDE = { releases: ['releases'], staging: ['.staging', '.staging-2', '.staging-3'] };

/** The problems of the service's directory `dir`; empty if there are none. `serviceUser` runs the service. */
export async function inspectServiceDirectory(dir: string, serviceUser?: string): Promise<Finding[]> {
  const service = serviceUser === undefined ? undefined : await uidOf(serviceUser);
  const unknown = serviceUser !== undefined && service === undefined;
  const noUser: Finding = {
    ok: false,
    what: `there is no user ${serviceUser}`,
    hint: `useradd --system ${serviceUser}, or correct \`user\``,
  };
  return [...(unknown ? [noUser] : []), ...(await problemsOf(dir, service, Object.values(INSIDE).flat()))];
}

/**
 * Resolves if nobody but root and the agent's user can change what is in `dir`. Before anything there is written, deleted
 * or made current. A service's user that does not exist is no reason: the deployment names it later.
 * @throws NOT_READY, which names the path.
 */
export async function assertOwned(dir: string, serviceUser?: string): Promise<void> {
  // For an agent that is root, the owner of each path decides.
  const service =
    serviceUser === undefined || process.getuid?.() === 0 ? undefined : await uidOf(serviceUser);
  const staging = await Promise.all(
    INSIDE.staging.map(async (name) => ((await lstatIfAny(join(dir, name)))?.isDirectory() ? [name] : [])),
  ).catch(() => []);
  const [first] = await problemsOf(dir, service, [...INSIDE.releases, ...staging.flat()]);
  if (!first) return;
  throw new TriggerDeployError('NOT_READY', `${first.what}; the agent changes nothing in ${dir}`, {
    hint: first.hint,
  });
}

async function problemsOf(
  dir: string,
  service: number | undefined,
  inside: readonly string[],
): Promise<Finding[]> {
  const steps: { path: string; stat: Stats }[] = [];
  let isMissing = false;
  try {
    for await (const step of stepsTo(dir)) steps.push(step);
  } catch {
    // The agent creates a missing directory. What it cannot look up it cannot write to either.
    isMissing = true;
  }
  const real = isMissing ? undefined : steps.at(-1)?.path;
  const findings = steps.reverse().flatMap(({ path, stat }) => inspect(path, stat, { real, dir, service }));
  for (const name of inside) findings.push(...(await inspectInside(join(dir, name), service)));
  return findings;
}

function inspect(
  path: string,
  stat: Stats,
  { real, dir, service }: { real: string | undefined; dir: string; service: number | undefined },
): Finding[] {
  // Whoever owns a link in a directory with the sticky bit can replace it. Its directory is checked.
  if (stat.isSymbolicLink()) return ownerProblem(path, stat.uid, undefined);
  if (!stat.isDirectory()) {
    const hint = `move it to another place, so that ${dir} can be created`;
    return [{ ok: false, what: `${path} is not a directory`, hint }];
  }
  const owner = ownerProblem(path, stat.uid, service);
  const isOpen = path === real ? isOpenToOthers(stat) : isReplaceableByOthers(stat);
  return [...owner, ...(isOpen && (stat.mode & 0o022) !== 0 ? [writable(path, stat.mode)] : [])];
}

async function inspectInside(path: string, service: number | undefined): Promise<Finding[]> {
  const there = await lstatIfAny(path).catch(() => undefined);
  if (!there) return [];
  if (!there.isDirectory()) {
    const what = there.isSymbolicLink() ? 'is a symbolic link' : 'is not a directory';
    return [{ ok: false, what: `${path} ${what}`, hint: `rm ${path}; the agent creates it again` }];
  }
  const owner = ownerProblem(path, there.uid, service);
  return [...owner, ...((there.mode & 0o022) !== 0 ? [writable(path, there.mode)] : [])];
}

/** The problem of an owner who is neither root nor the agent's user, or who runs the service. */
function ownerProblem(path: string, uid: number, service: number | undefined): Finding[] {
  const agent = process.getuid?.() ?? 0;
  const hint = `chown -h ${agent === 0 ? 'root:root' : agent} ${path}`;
  if (uid === service && uid !== 0) {
    const what = `${path} belongs to the service's user, who could change deployed files`;
    return [{ ok: false, what, hint }];
  }
  if (isTrustedUser(uid)) return [];
  return [{ ok: false, what: `${path} belongs to the user ${uid}, not to the agent's user`, hint }];
}

function writable(path: string, mode: number): Finding {
  const who = (mode & 0o002) !== 0 ? 'everyone' : 'its group';
  return { ok: false, what: `${path} can be written by ${who}`, hint: `chmod go-w ${path}` };
}

async function uidOf(user: string): Promise<number | undefined> {
  try {
    return (await findUser(user, AbortSignal.timeout(LOOKUP_MS))).uid;
  } catch (error) {
    if (isCode(error, 'COMMAND_FAILED')) return undefined;
    throw error;
  }
}
