import { existsSync, watch } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { keys } from '../../../../shared/names.ts';
import { type Report, report as reportSchema } from '../../../../shared/report.ts';
import { userIdOf } from '../../../support/cloud/sqs.ts';
import { setupOf } from '../../../support/commands.ts';
import {
  BUCKET,
  controlManager,
  ENV,
  type Fleet,
  type Instance,
  type ServiceYaml,
} from '../../../support/fleet/fleet.ts';
import type { Behaviour } from '../../../support/fleet/sample-service/package.ts';
import { freePort } from '../../../support/ports.ts';
import type { Finished } from '../../../support/programs.ts';
import { eventsOf } from '../../../support/publisher/events.ts';

/** Several sample services on one instance, each with a config of its own, and what is done to one of them. */

export interface Service {
  readonly fleet: Fleet;
  readonly instance: Instance;
  readonly name: string;
  /** The directory of its package; its commands run there. */
  readonly dir: string;
  readonly port: number;
}

const script = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** What of agent.yaml a service changes: `check` and `manager` key by key, the rest as it is. */
export interface Settings {
  check?: Record<string, unknown>;
  manager?: Record<string, unknown>;
  watch?: string;
  /** Hooks of service-hook.sh, by name. */
  hooks?: { beforeStop?: readonly string[]; afterStart?: readonly string[] };
  /** 60 s when left out. */
  hookTimeout?: string;
}

/** An instance `id` with these services. Its agent runs; nothing is deployed. */
export async function addServices<Name extends string>(
  fleet: Fleet,
  id: string,
  wanted: Record<Name, Settings>,
): Promise<Record<Name, Service>> {
  const names = Object.keys(wanted) as Name[];
  const ports = new Map<string, number>();
  for (const name of names) ports.set(name, await freePort());
  const dirOf = (root: string, name: string) => join(root, name);
  const yaml = (name: Name, root: Instance) =>
    yamlOf(dirOf(root.dir, name), ports.get(name) ?? 0, wanted[name]);
  const instance = await fleet.addInstance(
    id,
    (root) => Object.fromEntries(names.map((name) => [name, yaml(name, root)])),
    { logLevel: 'debug' },
  );
  const services = names.map((name) => {
    const service: Service = {
      fleet,
      instance,
      name,
      dir: dirOf(instance.dir, name),
      port: ports.get(name) ?? 0,
    };
    return [name, service] as const;
  });
  return Object.fromEntries(services) as Record<Name, Service>;
}

function yamlOf(dir: string, port: number, settings: Settings): ServiceYaml {
  const program = [process.execPath, join(dir, 'current', 'server.mjs'), String(port)];
  const http = {
    url: `http://127.0.0.1:${port}/health`,
    body: '"version":"{version}"',
    successes: 2,
    deadline: '20s',
    ...settings.check,
  };
  const start = ['/bin/sh', script('service-start.sh'), dir, ...program];
  const hooks = (hookNames: readonly string[] = []) =>
    hookNames.map((name) => ({
      run: ['/bin/sh', script('service-hook.sh'), name, dir],
      timeout: settings.hookTimeout ?? '60s',
    }));
  return {
    package: { type: 'archive', dir },
    manager: { ...controlManager(dir, program), start, ...settings.manager },
    checks: [{ http }],
    watch: settings.watch ?? '300ms',
    hooks: { beforeStop: hooks(settings.hooks?.beforeStop), afterStart: hooks(settings.hooks?.afterStart) },
  };
}

/** @throws when the push does not succeed. */
export async function push(service: Service, version: string, behaviour?: Behaviour): Promise<void> {
  await (await setupOf(service.fleet)).pushed(service.name, version, behaviour);
}

/** How a deployment came out: the publisher's exit code, and the one report of the instance in the record. */
export interface Outcome {
  finished: Finished;
  deployment: string;
  report: Report;
}

/** Deploys, and waits for the end. */
export async function attempt(
  { fleet, instance, name }: Service,
  version: string,
  ...options: string[]
): Promise<Outcome> {
  const finished = await fleet.publisher(name, version, '--env', ENV, '--output', 'json', ...options);
  const deployment = eventsOf(finished).find(({ type }) => type === 'started')?.deployment;
  if (deployment === undefined)
    throw new Error(`nothing was announced\n${finished.stdout}${finished.stderr}`);
  return { finished, deployment, report: reportIn(fleet, name, deployment, instance.id) };
}

/** @throws when it does not succeed. */
export async function deploy(service: Service, version: string): Promise<Outcome> {
  const outcome = await attempt(service, version);
  wellDone(outcome.finished);
  return outcome;
}

export function reportIn(fleet: Fleet, service: string, deployment: string, instance: string): Report {
  const key = keys.report(ENV, service, deployment, userIdOf(instance));
  const stored = fleet.cloud.object(BUCKET, key);
  if (!stored) throw new Error(`${key} is not in the record`);
  return reportSchema.parse(JSON.parse(stored.body.toString('utf8')));
}

function wellDone({ code, stdout, stderr }: Finished): void {
  if (code !== 0) throw new Error(`exit ${code}\n${stdout}\n${stderr}`);
}

/** The gate of that name is closed: a script that reaches it waits (service-hook.sh, service-start.sh). */
export const close = ({ dir }: Service, gate: string) => writeFile(join(dir, `gate-${gate}`), '');
export async function open(service: Service, gate: string): Promise<void> {
  await remove(service, `reached-${gate}`);
  await remove(service, `gate-${gate}`);
}
export const remove = ({ dir }: Service, name: string) => rm(join(dir, name), { force: true });
/** Resolves once a script waits at the gate. */
export const reached = ({ dir }: Service, gate: string) => appears(dir, `reached-${gate}`);

/** Resolves once there is a file of that name. */
async function appears(dir: string, name: string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const look = () => {
    if (existsSync(join(dir, name))) resolve();
  };
  const watcher = watch(dir, look);
  look();
  await promise;
  watcher.close();
}
