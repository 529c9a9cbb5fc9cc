import { realpath, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isCode } from '../../../shared/errors.ts';
import type { Finding } from '../../deploy/ports.ts';
import { lstatIfAny } from '../fs/durable-files.ts';
import { findUser } from '../process/run-as.ts';

/**
 * Checks whether users other than root and the agent's can change what a service runs. A user who can write to the
 * service's directory, or to a directory above it, could replace a release while root verifies it.
 */

const LOOKUP_MS = 10_000;
const STICKY = 0o1000;

/** The problems of the service's directory `dir`; empty if there are none. `serviceUser` runs the service. */
export async function inspectServiceDirectory(dir: string, serviceUser?: string): Promise<Finding[]> {
  const findings: Finding[] = [];
  const service = serviceUser === undefined ? undefined : await uidOf(serviceUser);
  if (serviceUser !== undefined && service === undefined) {
    findings.push({
      ok: false,
      what: `there is no user ${serviceUser}`,
      hint: `useradd --system ${serviceUser}, or correct \`user\``,
    });
  }
  for (const path of await chainOf(dir)) findings.push(...(await inspect(path, dir, service)));
  for (const name of ['releases', '.staging']) {
    findings.push(...(await inspectInside(join(dir, name), service)));
  }
  return findings;
}

async function inspect(path: string, dir: string, service: number | undefined): Promise<Finding[]> {
  const there = await stat(path).catch(() => undefined);
  // The agent creates a missing directory. The directories above it are checked.
  if (!there) return [];
  if (!there.isDirectory()) {
    return [
      {
        ok: false,
        what: `${path} is not a directory`,
        hint: `move it to another place, so that ${dir} can be created`,
      },
    ];
  }
  const findings: Finding[] = [];
  const owner = ownerProblem(path, there.uid, service);
  if (owner) findings.push(owner);
  // In a directory with the sticky bit, such as /tmp, users can rename only their own files.
  const sticky = path !== dir && (there.mode & STICKY) !== 0;
  if ((there.mode & 0o022) !== 0 && !sticky) findings.push(writable(path, there.mode));
  return findings;
}

async function inspectInside(path: string, service: number | undefined): Promise<Finding[]> {
  const there = await lstatIfAny(path).catch(() => undefined);
  if (!there) return [];
  if (!there.isDirectory()) {
    const what = there.isSymbolicLink() ? 'is a symbolic link' : 'is not a directory';
    return [{ ok: false, what: `${path} ${what}`, hint: `rm ${path}; the agent creates it again` }];
  }
  const owner = ownerProblem(path, there.uid, service);
  return [...(owner ? [owner] : []), ...((there.mode & 0o022) !== 0 ? [writable(path, there.mode)] : [])];
}

/** The problem of an owner who is neither root nor the agent's user, or who runs the service. */
function ownerProblem(path: string, uid: number, service: number | undefined): Finding | undefined {
  const agent = process.getuid?.() ?? 0;
  const hint = `chown ${agent === 0 ? 'root:root' : agent} ${path}`;
  if (uid === service && uid !== 0) {
    return {
      ok: false,
      what: `${path} belongs to the service's user, who could change deployed files`,
      hint,
    };
  }
  if (uid === 0 || uid === agent) return undefined;
  return { ok: false, what: `${path} belongs to the user ${uid}, not to the agent's user`, hint };
}

function writable(path: string, mode: number): Finding {
  const who = (mode & 0o002) !== 0 ? 'everyone' : 'its group';
  return { ok: false, what: `${path} can be written by ${who}`, hint: `chmod go-w ${path}` };
}

/** `dir` and all directories above it. With links in the path, also all directories of the real path. */
async function chainOf(dir: string): Promise<Set<string>> {
  const chain = new Set(upwards(dir));
  for (const path of [...chain]) {
    const real = await realpath(path).catch(() => undefined);
    if (real === undefined) continue;
    for (const above of upwards(real)) chain.add(above);
    break;
  }
  return chain;
}

function upwards(path: string): string[] {
  return dirname(path) === path ? [path] : [path, ...upwards(dirname(path))];
}

async function uidOf(user: string): Promise<number | undefined> {
  try {
    return (await findUser(user, AbortSignal.timeout(LOOKUP_MS))).uid;
  } catch (error) {
    if (isCode(error, 'COMMAND_FAILED')) return undefined;
    throw error;
  }
}
