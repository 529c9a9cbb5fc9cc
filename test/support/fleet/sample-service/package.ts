import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { create } from 'tar';

/** How a version of the sample service behaves; without any of these it is healthy. */
export interface Behaviour {
  healthStatus?: number;
  neverAnswer?: boolean;
  exitAtStart?: boolean;
  exitAfterMs?: number;
  ignoreTerm?: boolean;
  /** Closes its port at SIGTERM and then never ends. */
  hangsOnStop?: boolean;
  /** `/health` answers 503 and 200 in turn. */
  flaps?: boolean;
  /** The n-th `/health` is answered with a 503. */
  failsOnceAt?: number;
  answerAfterMs?: number;
  /** The version `/health` pretends to be. */
  claimsVersion?: string;
  listenAfterMs?: number;
  /** Ends itself once another process goes on in its place, with its pid in `service.pid`. */
  daemonises?: boolean;
  /** What it does `ms` after the `count`-th `/health`: ends with an error, or as with `daemonises`. */
  afterHealth?: { count: number; ms: number; does: 'crash' | 'replace' };
  /** A child in its process group has the port; the child ends with it, unless it is killed. */
  worker?: boolean;
  /** A process of its own has the port, and keeps it after the end; a start of the same version shares it. */
  keepsPort?: boolean;
  /** Goes on without an answer where its port is taken. */
  staysWithoutPort?: boolean;
  /** Exits at start unless this file is in the directory it is started in. */
  needsFile?: string;
  /** Answers 503 until this file is in the directory it was started in. */
  healthyWithFile?: string;
  /** For start commands that look at it (test/fault/support/fleet/service-start.sh): whether they ever return. */
  startHangs?: 'before' | 'after';
}

/** Writes `payments-VERSION.tar.gz` into `dir`: a whole version of the sample service. Returns its path. */
export async function packSampleService(
  dir: string,
  version: string,
  behaviour: Behaviour = {},
): Promise<string> {
  await mkdir(dir, { recursive: true });
  const content = await mkdtemp(join(dir, '.content-'));
  await cp(new URL('server.mjs', import.meta.url), join(content, 'server.mjs'));
  await writeFile(
    join(content, 'behaviour.json'),
    JSON.stringify({ version, healthStatus: 200, ...behaviour }),
  );
  const file = join(dir, `payments-${version}.tar.gz`);
  await create({ gzip: true, file, cwd: content, portable: true }, ['server.mjs', 'behaviour.json']);
  await rm(content, { recursive: true });
  return file;
}
