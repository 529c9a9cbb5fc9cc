import { asTriggerDeployError, messageOf } from '../../shared/errors.ts';
import { agentQueueName } from '../../shared/names.ts';
import { commandEnvironment } from '../deploy/command-environment.ts';
import { brokenBy, type ServiceState } from '../deploy/state.ts';
import type { ObservedService, StatusDeps } from './deps.ts';

/**
 * The answer of `trigger-deploy-agent status`: what this instance runs, from its journals, its disk and its units. AWS
 * is asked only about the queue and the topic, with a short timeout: the command must also work while AWS is down.
 */
export interface InstanceStatus {
  env: string;
  /** Null where neither the config, the metadata nor a journal has it. */
  instance: string | null;
  /** The tags of the config and, if the metadata was read, its tags. */
  tags: Record<string, string>;
  agent: { running: boolean; pid: number | null; version: string | null; since: string | null };
  queue: QueueStatus;
  /** The end of this instance, if it was announced, and whether the instance has left its environment. */
  notice: { kind: string; at: string | null; left: boolean } | null;
  services: ServiceStatusRow[];
}

interface QueueStatus {
  name: string | null;
  /** Null when the queue was not probed. */
  reachable: boolean | null;
  /** Why the queue is not reachable. */
  trouble: string | null;
}

export interface ServiceStatusRow {
  service: string;
  /** The current version. */
  version: string | null;
  /** The summary of the service manager, or why it cannot be read. */
  unit: string;
  /** Why its current version or its releases cannot be read. */
  trouble: string | null;
  /** The result of one try of each check; empty if no version is current. */
  checks: { ok: boolean; note: string }[];
  lastDeployment: string | null;
  state: string | null;
  /** Why the active deployment fails, or why the last one did not succeed. */
  error: { code: string; message: string } | null;
  at: string | null;
  /** The previous good version, if its release is on this instance and is not current. */
  previous: string | null;
  pinned: boolean;
  /** The target groups that the agent deregistered it from and has not registered it with again. */
  outOfTraffic: readonly string[];
  /** How many reports are not in the record yet. */
  undelivered: number;
}

/** ms */
const SERVICE_WITHIN = 10_000;
const AWS_WITHIN = 3000;
const METADATA_WITHIN = 1000;

export async function status(deps: StatusDeps, options: { offline: boolean }): Promise<InstanceStatus> {
  const states = await Promise.all(deps.services.map((service) => service.state()));
  const { instance, tags } = await findIdentity(deps, states, options.offline);
  const [agent, notice, queue, ...services] = await Promise.all([
    deps.runningAgent(),
    deps.notice(),
    queueStatus(deps, instance, options.offline),
    ...deps.services.map((service, i) => observe(service, states[i], deps)),
  ]);
  return {
    env: deps.env,
    instance: instance ?? null,
    tags,
    agent: {
      running: agent !== undefined,
      pid: agent?.pid ?? null,
      version: agent?.version ?? null,
      since: agent?.since ?? null,
    },
    queue,
    notice: notice ? { ...notice, at: notice.at ?? null } : null,
    services,
  };
}

/** From the config, else from the instance metadata, else from a journal. */
async function findIdentity(
  { configured, identify }: StatusDeps,
  states: readonly (ServiceState | undefined)[],
  offline: boolean,
): Promise<{ instance: string | undefined; tags: Record<string, string> }> {
  if (configured.instance !== undefined) return configured;
  const identity = offline
    ? undefined
    : await identify(AbortSignal.timeout(METADATA_WITHIN)).catch(() => undefined);
  const instance = identity?.instance ?? states.find((state) => state !== undefined)?.instance;
  return { instance, tags: { ...(identity?.tags ?? configured.tags) } };
}

async function queueStatus(
  { env, probeQueue }: StatusDeps,
  instance: string | undefined,
  offline: boolean,
): Promise<QueueStatus> {
  if (instance === undefined) return { name: null, reachable: null, trouble: null };
  const name = agentQueueName(env, instance);
  if (offline) return { name, reachable: null, trouble: null };
  try {
    const findings = await probeQueue(instance, AbortSignal.timeout(AWS_WITHIN));
    const [wrong] = findings.filter((finding) => !finding.ok);
    return { name, reachable: wrong === undefined, trouble: wrong?.what ?? null };
  } catch (error) {
    return { name, reachable: false, trouble: reasonOf(error, AWS_WITHIN) };
  }
}

/** The error's message; for a timeout after `ms`, the time. */
function reasonOf(error: unknown, ms: number): string {
  const timedOut = error instanceof Error && error.name === 'TimeoutError';
  return timedOut ? `no answer within ${ms / 1000} s` : messageOf(error);
}

/**
 * Reads the status of one service. If its version, its releases or its unit cannot be read, its row says so, and the
 * other services are still shown.
 */
async function observe(
  { name, package: pkg, manager, checks }: ObservedService,
  state: ServiceState | undefined,
  { env, probe }: Pick<StatusDeps, 'env' | 'probe'>,
): Promise<ServiceStatusRow> {
  let trouble: string | null = null;
  const noteTrouble =
    <T>(value: T) =>
    (error: unknown): T => {
      trouble = messageOf(error);
      return value;
    };
  const [version, releases, unit] = await Promise.all([
    pkg.current().catch(noteTrouble(null)),
    pkg.releases().catch(noteTrouble([])),
    manager
      .status(AbortSignal.timeout(SERVICE_WITHIN))
      .then((found) => found.summary)
      .catch((error: unknown) => asTriggerDeployError(error).message),
  ]);
  const about = { service: name, version: version ?? '' };
  const expected = { ...about, environment: commandEnvironment({ env, ...about }) };
  const probed = (version === null ? [] : checks).map((one) =>
    probe
      .probe(one, expected, AbortSignal.timeout(SERVICE_WITHIN))
      .catch((error: unknown) => ({ ok: false, note: `${one.kind} ${reasonOf(error, SERVICE_WITHIN)}` })),
  );
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
    /** The versions of the releases on this instance. */
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
