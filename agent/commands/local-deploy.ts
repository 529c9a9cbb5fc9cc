import { stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { TriggerDeployError } from '../../shared/errors.ts';
import type { Artifact } from '../../shared/manifest.ts';
import { artifactName, newUlid, versionName } from '../../shared/names.ts';
import { LOCAL_EXPIRY_MS, type LocalOrder } from '../deploy/local-order.ts';
import type { Release } from '../deploy/ports.ts';
import type { ServiceState } from '../deploy/state.ts';
import type { Wiring } from './deps.ts';
import { follow } from './follow-order.ts';
import { versionInName } from './version-from-name.ts';

/**
 * `deploy` and `rollback` on the instance itself, for when the cloud is down. The order is put where the running
 * agent finds it, for the journal has one owner; the command only watches what becomes of it.
 */

export interface LocalAsked {
  service: string;
  version: string | undefined;
  noWait: boolean;
  /** Who asks. */
  by: string;
  say(line: string): void;
}

/** How long the instance metadata may take, ms. */
const IDENTIFIED_WITHIN = 2000;
const MOST_FILES = 32;

/** What becomes of it: true when it succeeded, or was left to the agent. */
export async function deploy(
  wiring: Wiring,
  asked: LocalAsked & { files: readonly string[] },
): Promise<boolean> {
  const { service } = asked;
  const { current, state } = await standing(wiring, service);
  const [first = ''] = asked.files;
  const files = await describe(asked.files);
  const version = checked(asked.version ?? (await versionOf(wiring, first, service)));
  return await order(wiring, asked, { action: 'deploy', version, current, state, what: { files } });
}

/** Back to what ran before, or to the named version, from the releases that are on this instance. */
export async function rollback(wiring: Wiring, asked: LocalAsked): Promise<boolean> {
  const { service } = asked;
  const { current, state } = await standing(wiring, service);
  const releases = await wiring.packageOf(service).releases();
  const others = releases.filter(({ version }) => version !== current);
  const release = targetOf({ ...asked, state, current, releases, others });
  const { version, artifacts } = release;
  return await order(wiring, asked, { action: 'rollback', version, current, state, what: { artifacts } });
}

interface Standing {
  current: string | null;
  state: ServiceState | undefined;
}

async function standing(wiring: Wiring, service: string): Promise<Standing> {
  const names = Object.keys(wiring.config.services);
  if (!names.includes(service)) {
    throw new TriggerDeployError('USAGE', `${service} is not a service of this instance`, {
      hint: `there are: ${names.join(', ')}`,
    });
  }
  const [current, state] = await Promise.all([wiring.packageOf(service).current(), wiring.stateOf(service)]);
  return { current, state };
}

/** @throws NOTHING_TO_ROLL_BACK_TO. */
function targetOf(
  found: Standing & {
    service: string;
    version: string | undefined;
    releases: readonly Release[];
    others: readonly Release[];
  },
): Release {
  const { service, state, current, others, releases } = found;
  const there = others.map(({ version }) => version).join(', ');
  const choose =
    there === '' ? 'no other release is on this instance: deploy a file' : `on this instance: ${there}`;
  const refuse = (why: string, hint: string) =>
    new TriggerDeployError('NOTHING_TO_ROLL_BACK_TO', why, { hint });
  const wanted = found.version ?? state?.previousGood ?? undefined;
  if (wanted === undefined) {
    const name = there === '' ? '' : '; --version names one';
    throw refuse(`nothing is known to have run before ${service} ${current ?? '(none)'}`, `${choose}${name}`);
  }
  if (found.version === undefined && state !== undefined && wentBack(state)) {
    const why = `${service} was rolled back here already, from ${wanted} to ${current}`;
    throw refuse(why, `--version ${wanted} goes forth again; ${choose}`);
  }
  const release = releases.find(({ version }) => version === wanted);
  if (!release) throw refuse(`${service} ${wanted} is not on this instance`, choose);
  return release;
}

/** Whether what runs came by a local rollback: what ran before it is what somebody wanted to be rid of. */
function wentBack({ running, endings }: ServiceState): boolean {
  const last = endings.findLast(({ report }) => report.deployment === running?.deployment);
  return last?.report.local?.action === 'rollback';
}

async function versionOf(wiring: Wiring, path: string, service: string): Promise<string> {
  return path.endsWith('.deb') ? await wiring.debVersion(resolve(path)) : versionInName(path, service);
}

function checked(version: string): string {
  const parsed = versionName.safeParse(version);
  if (parsed.success) return parsed.data;
  throw new TriggerDeployError('USAGE', `${version}: ${parsed.error.issues[0]?.message}`, {
    hint: 'say which version it is: --version 1.4.3',
  });
}

/** The first is the package, the others are config files, as with `trigger-deploy push`. @throws USAGE. */
async function describe(paths: readonly string[]) {
  const misused = (what: string, hint: string) => new TriggerDeployError('USAGE', what, { hint });
  if (paths.length > MOST_FILES) {
    throw misused(
      `${paths.length} files, and a version has ${MOST_FILES} at most`,
      'put them into one archive',
    );
  }
  const files: { path: string; name: string; size: number; role: Artifact['role'] }[] = [];
  for (const [i, path] of paths.entries()) {
    const name = basename(path);
    const found = await stat(path).catch(() => undefined);
    if (!found?.isFile()) throw misused(`${path} is not a file that can be read`, 'check the path');
    if (found.size === 0) throw misused(`${path} is empty`, 'check that it was copied whole');
    const parsed = artifactName.safeParse(name);
    if (!parsed.success) throw misused(`${path}: ${parsed.error.issues[0]?.message}`, 'rename the file');
    if (files.some((file) => file.name === name))
      throw misused(`two files of one name: ${name}`, 'rename one');
    const role: Artifact['role'] = i === 0 ? 'package' : 'config';
    files.push({ path: resolve(path), name, size: found.size, role });
  }
  return files;
}

type What = { files: Awaited<ReturnType<typeof describe>> } | { artifacts: readonly Artifact[] };

async function order(
  wiring: Wiring,
  asked: LocalAsked,
  change: Standing & { action: LocalOrder['action']; version: string; what: What },
): Promise<boolean> {
  const { service, by, say } = asked;
  const { action, version, current, state } = change;
  const identity = await wiring.identify(AbortSignal.timeout(IDENTIFIED_WITHIN)).catch(() => undefined);
  const instance = identity?.instance ?? state?.instance;
  const now = Date.now();
  const agent = await wiring.agent();
  const given = await wiring.orders.give(
    {
      ...{ deployment: newUlid(now), service, version, action, by },
      at: new Date(now).toISOString(),
      ...(instance !== undefined && { instance }),
    },
    change.what,
  );
  const from = current === null || current === version ? '' : `${current} → `;
  say(`${service} ${from}${version}: local ${action} ${given.deployment}`);
  if (!agent) {
    const until = new Date(now + LOCAL_EXPIRY_MS).toISOString().slice(0, 16).replace('T', ' ');
    say('the agent does not run: systemctl start trigger-deploy-agent');
    say(
      `the order waits for it until ${until} UTC in ${wiring.orders.placeOf(given.deployment)}; remove it to withdraw`,
    );
  }
  if (asked.noWait) return true;
  return await follow(wiring, given, say);
}
