import { asTriggerDeployError, messageOf } from '../../shared/errors.ts';
import { agentQueueName } from '../../shared/names.ts';
import { commandEnvironment } from '../deploy/command-environment.ts';
import type { Identity } from '../deploy/ports.ts';
import { brokenBy, type ServiceState } from '../deploy/state.ts';
import type { Wiring } from './deps.ts';

/**
 * `trigger-deploy-agent status`: what this instance runs, from its own journal, disk and units. AWS is asked for
 * the queue only, and briefly: it is when AWS is away that this is read.
 */
export interface InstanceStatus {
  env: string;
  /** Null where neither the config nor the metadata nor a journal tells. */
  instance: string | null;
  /** What it is marked with, as far as that can be told now: those of the config in any case. */
  tags: Record<string, string>;
  agent: { running: boolean; pid: number | null; version: string | null; since: string | null };
  queue: QueueStatus;
  services: ServiceStatusRow[];
}

interface QueueStatus {
  name: string | null;
  /** Null when nobody asked. */
  reachable: boolean | null;
  /** Why it is not reachable. */
  trouble: string | null;
}

export interface ServiceStatusRow {
  service: string;
  /** What `current` points at. */
  version: string | null;
  /** What the service manager says. */
  unit: string;
  /** Why its releases cannot be told. */
  trouble: string | null;
  /** Each check of the config, tried once just now. */
  checks: { ok: boolean; note: string }[];
  lastDeployment: string | null;
  state: string | null;
  /** Why the last deployment did not succeed. */
  error: { code: string; message: string } | null;
  at: string | null;
  /** The version that a local `rollback` goes to. */
  previous: string | null;
  pinned: boolean;
  /** The load balancer's groups that the agent took it out of and has not put it back into. */
  outOfTraffic: readonly string[];
  /** Reports that have not reached the record yet. */
  undelivered: number;
}

/** ms */
const UNITS_WITHIN = 10_000;
const AWS_WITHIN = 3000;
const METADATA_WITHIN = 1000;

export async function status(wiring: Wiring, options: { offline: boolean }): Promise<InstanceStatus> {
  const names = Object.keys(wiring.config.services);
  const states = await Promise.all(names.map((name) => wiring.stateOf(name)));
  const { instance, tags } = await whoIsThis(wiring, states, options.offline);
  const [agent, queue, ...services] = await Promise.all([
    wiring.agent(),
    queueOf(wiring, instance, options.offline),
    ...names.map((name, i) => lookAt(wiring, name, states[i])),
  ]);
  return {
    env: wiring.config.env,
    instance: instance ?? null,
    tags,
    agent: {
      running: agent !== undefined,
      pid: agent?.pid ?? null,
      version: agent?.version ?? null,
      since: agent?.since ?? null,
    },
    queue,
    services,
  };
}

async function whoIsThis(
  wiring: Wiring,
  states: readonly (ServiceState | undefined)[],
  offline: boolean,
): Promise<{ instance: string | undefined; tags: Record<string, string> }> {
  const { instance: known, tags } = wiring.config;
  if (known !== undefined) return { instance: known, tags };
  const asked = offline ? undefined : await identified(wiring);
  const instance = asked?.instance ?? states.find((state) => state !== undefined)?.instance;
  return { instance, tags: { ...(asked?.tags ?? tags) } };
}

async function identified(wiring: Wiring): Promise<Identity | undefined> {
  return await wiring.identify(AbortSignal.timeout(METADATA_WITHIN)).catch(() => undefined);
}

async function queueOf(wiring: Wiring, instance: string | undefined, offline: boolean): Promise<QueueStatus> {
  if (instance === undefined) return { name: null, reachable: null, trouble: null };
  const name = agentQueueName(wiring.config.env, instance);
  if (offline) return { name, reachable: null, trouble: null };
  try {
    const findings = await wiring.queueOf(instance).probe(AbortSignal.timeout(AWS_WITHIN));
    const [wrong] = findings.filter((finding) => !finding.ok);
    return { name, reachable: wrong === undefined, trouble: wrong?.what ?? null };
  } catch (error) {
    const slow = error instanceof Error && error.name === 'TimeoutError';
    const trouble = slow ? `no answer within ${AWS_WITHIN / 1000} s` : messageOf(error);
    return { name, reachable: false, trouble };
  }
}

async function lookAt(
  wiring: Wiring,
  name: string,
  state: ServiceState | undefined,
): Promise<ServiceStatusRow> {
  const pkg = wiring.packageOf(name);
  // What is wrong with one service must not hide the others.
  let trouble: string | null = null;
  const orTold =
    <T>(value: T) =>
    (error: unknown): T => {
      trouble = messageOf(error);
      return value;
    };
  const [version, releases, unit] = await Promise.all([
    pkg.current().catch(orTold(null)),
    pkg.releases().catch(orTold([])),
    wiring
      .managerOf(name)
      .status(AbortSignal.timeout(UNITS_WITHIN))
      .then((found) => found.summary)
      .catch((error: unknown) => asTriggerDeployError(error).message),
  ]);
  const about = { service: name, version: version ?? '' };
  const expected = { ...about, environment: commandEnvironment({ env: wiring.config.env, ...about }) };
  const checks = version === null ? [] : (wiring.config.services[name]?.checks ?? []);
  const probed = checks.map((one) => wiring.probe.probe(one, expected, AbortSignal.timeout(UNITS_WITHIN)));
  const known = new Set(releases.map((release) => release.version));
  return { ...statusRow(name, { state, version, unit, checks: await Promise.all(probed), known }), trouble };
}

export function statusRow(
  service: string,
  found: {
    state: ServiceState | undefined;
    version: string | null;
    unit: string;
    checks: { ok: boolean; note: string }[];
    /** The releases on this instance. */
    known: ReadonlySet<string>;
  },
): Omit<ServiceStatusRow, 'trouble'> {
  const { state, version, unit, checks, known } = found;
  const broken = state && brokenBy(state);
  const last = state?.endings.findLast(
    ({ report }) => !broken || (report.deployment === broken.deployment && report.state === 'broken'),
  )?.report;
  const active = state?.active;
  const error = active ? active.error : last?.error;
  const previous = state?.previousGood ?? null;
  return {
    service,
    version,
    unit,
    checks,
    lastDeployment: active?.order.deployment ?? broken?.deployment ?? last?.deployment ?? null,
    state: active?.state ?? (broken ? 'broken' : last?.state) ?? null,
    error: error ? { code: error.code, message: error.message } : null,
    at: active ? new Date(active.startedAt).toISOString() : (last?.at ?? null),
    previous: previous !== null && previous !== version && known.has(previous) ? previous : null,
    pinned: state !== undefined && state.pinned !== null,
    outOfTraffic: active?.left ?? state?.outOfTraffic?.groups ?? [],
    undelivered: state?.outbox.length ?? 0,
  };
}
