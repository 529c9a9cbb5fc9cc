import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { TriggerDeployError } from '../../shared/errors.ts';
import { type Artifact, areConfigsApart, type GivenFile, roleBeside } from '../../shared/manifest.ts';
import { newUlid, versionName } from '../../shared/names.ts';
import { placedFile, plainFile } from '../../shared/placed-file.ts';
import { LOCAL_EXPIRY_MS, type LocalOrder } from '../deploy/local-order.ts';
import type { Release } from '../deploy/ports.ts';
import type { ServiceState } from '../deploy/state.ts';
import type { DeployableService, LocalDeployDeps } from './deps.ts';
import { follow } from './follow-order.ts';
import { versionFromName } from './version-from-name.ts';

/**
 * `deploy` and `rollback` on the instance itself, for an outage of AWS. The command writes an order to the
 * order spool, where the running agent finds it, and follows it in the journal. Only the agent writes the journal.
 */

export interface LocalRequest {
  service: string;
  version: string | undefined;
  noWait: boolean;
  /** The user who gives the order. */
  by: string;
  say(line: string): void;
}

/** How long the instance metadata may take, ms. */
const IDENTIFY_WITHIN = 2000;
const MOST_FILES = 32;

/**
 * Deploys files of this machine. Returns whether the order succeeded; with `noWait`, returns true once it is written.
 * @throws USAGE, NO_SPACE, PACKAGE_INVALID.
 */
export async function deploy(
  deps: LocalDeployDeps,
  request: LocalRequest & { files: readonly string[] },
): Promise<boolean> {
  const target = await readTarget(deps, request.service);
  const [first = ''] = request.files;
  const files = await describeFiles(request.files);
  const version = validVersion(request.version ?? (await versionOf(target.service, first)));
  return await giveOrder(deps, request, { ...target, action: 'deploy', version, what: { files } });
}

/**
 * Rolls back to the previous good version, or to the given one, if its release is on this instance. Returns whether the
 * order succeeded; with `noWait`, returns true once it is written. @throws USAGE, NO_SPACE, NOTHING_TO_ROLL_BACK_TO.
 */
export async function rollback(deps: LocalDeployDeps, request: LocalRequest): Promise<boolean> {
  const target = await readTarget(deps, request.service);
  const releases = await target.service.package.releases();
  const { version, artifacts } = chooseRelease(request, target, releases);
  return await giveOrder(deps, request, { ...target, action: 'rollback', version, what: { artifacts } });
}

interface Target {
  service: DeployableService;
  current: string | null;
  state: ServiceState | undefined;
}

async function readTarget({ services }: LocalDeployDeps, name: string): Promise<Target> {
  const service = services.find((one) => one.name === name);
  if (!service) {
    throw new TriggerDeployError('USAGE', `${name} is not a service of this instance`, {
      hint: `services: ${services.map((one) => one.name).join(', ')}`,
    });
  }
  const [current, state] = await Promise.all([service.package.current(), service.state()]);
  return { service, current, state };
}

/** @throws NOTHING_TO_ROLL_BACK_TO. */
function chooseRelease(
  { service, version }: Pick<LocalRequest, 'service' | 'version'>,
  { state, current }: Target,
  releases: readonly Release[],
): Release {
  const others = releases.filter((release) => release.version !== current);
  const available = others.map((release) => release.version).join(', ');
  const choose =
    available === ''
      ? 'this instance has no other release; deploy a file'
      : `on this instance: ${available}; choose one with --version`;
  const refuse = (why: string, hint: string) =>
    new TriggerDeployError('NOTHING_TO_ROLL_BACK_TO', why, { hint });
  const wanted = version ?? state?.previousGood ?? undefined;
  if (wanted === undefined) {
    throw refuse(`no version is known to have run before ${service} ${current ?? '(none)'}`, choose);
  }
  if (version === undefined && state !== undefined && wasRolledBack(state)) {
    const why = `${service} was already rolled back here, from ${wanted} to ${current}`;
    throw refuse(why, `--version ${wanted} returns to that version; ${choose}`);
  }
  const release = releases.find((one) => one.version === wanted);
  if (!release) throw refuse(`${service} ${wanted} is not on this instance`, choose);
  return release;
}

/** Whether a local rollback started the running version. `previousGood` is then the version that was rolled back. */
function wasRolledBack({ running, endings }: ServiceState): boolean {
  const last = endings.findLast(({ report }) => report.deployment === running?.deployment);
  return last?.report.local?.action === 'rollback';
}

async function versionOf({ name, package: pkg }: DeployableService, path: string): Promise<string> {
  return (await pkg.versionOf(resolve(path))) ?? versionFromName(path, name);
}

function validVersion(version: string): string {
  const parsed = versionName.safeParse(version);
  if (parsed.success) return parsed.data;
  throw new TriggerDeployError('USAGE', `${version}: ${parsed.error.issues[0]?.message}`, {
    hint: 'add --version, such as --version 1.4.3',
  });
}

/**
 * The first is the package, the others are config files, as with `trigger-deploy push`; these may be
 * `FILE=PATH/IN/RELEASE`. @throws USAGE.
 */
async function describeFiles(paths: readonly string[]) {
  const misused = (what: string, hint: string) => new TriggerDeployError('USAGE', what, { hint });
  if (paths.length > MOST_FILES) {
    throw misused(`${paths.length} files; a version has at most ${MOST_FILES}`, 'put them into one archive');
  }
  const files: GivenFile[] = [];
  for (const [i, text] of paths.entries()) {
    const role = i === 0 ? 'package' : roleBeside(paths[0] ?? '', text);
    const { file, name, path, wrong } = role === 'config' ? await placedFile(text) : plainFile(text);
    const found = await stat(file).catch(() => undefined);
    if (!found?.isFile()) throw misused(`${file} is not a readable file`, 'check the path');
    if (found.size === 0) throw misused(`${file} is empty`, 'check that it was copied completely');
    if (wrong !== undefined) throw misused(`${text}: ${wrong}`, 'rename the file');
    if (files.some((one) => one.name === name))
      throw misused(`two files have the name ${name}`, 'rename one of them');
    files.push({
      ...{ file: resolve(file), name, size: found.size, role },
      ...(role === 'config' && { mode: found.mode & 0o777 }),
      ...(path !== undefined && { path }),
    });
  }
  if (!areConfigsApart(files)) {
    throw misused(
      'a config file is in place of the directory of another one',
      'choose another path for one of them',
    );
  }
  return files;
}

async function giveOrder(
  { identify, runningAgent, orders }: LocalDeployDeps,
  { by, say, noWait }: LocalRequest,
  change: Target & {
    action: LocalOrder['action'];
    version: string;
    what: { files: Awaited<ReturnType<typeof describeFiles>> } | { artifacts: readonly Artifact[] };
  },
): Promise<boolean> {
  const { service, action, version, current, state } = change;
  const identity = await identify(AbortSignal.timeout(IDENTIFY_WITHIN)).catch(() => undefined);
  const instance = identity?.instance ?? state?.instance;
  const now = Date.now();
  const agent = await runningAgent();
  const { deployment } = await orders.give(
    {
      ...{ deployment: newUlid(now), service: service.name, version, action, by },
      at: new Date(now).toISOString(),
      ...(instance !== undefined && { instance }),
    },
    change.what,
  );
  const from = current === null || current === version ? '' : `${current} → `;
  say(`${service.name} ${from}${version}: local ${action} ${deployment}`);
  if (!agent) {
    const until = new Date(now + LOCAL_EXPIRY_MS).toISOString().slice(0, 16).replace('T', ' ');
    say('the agent is not running: systemctl start trigger-deploy-agent');
    say(`the order expires at ${until} UTC; to withdraw it, remove ${orders.pathOf(deployment)}`);
  }
  return noWait || (await follow({ service, runningAgent }, deployment, say));
}
