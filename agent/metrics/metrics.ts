import type { Clock } from '../../shared/clock.ts';
import type { Desired } from '../../shared/desired.ts';
import type { ErrorCode } from '../../shared/errors.ts';
import type { Report } from '../../shared/report.ts';
import { ENDINGS, type Ending, STEPS, type Step } from '../../shared/states.ts';
import type { Identity, Journal, Reporter } from '../deploy/ports.ts';
import { brokenBy, type ServiceState } from '../deploy/state.ts';
import type { Inbox } from '../loop/ports.ts';

/**
 * What the agent measures, from what passes through its ports: a deployment is counted when its ending is in the journal, so once,
 * however often its report is sent. Counters begin at 0 when the agent starts. There are as many values as the config has services.
 */
export interface Metrics {
  inbox(inner: Inbox): Inbox;
  reporter(inner: Reporter): Reporter;
  journal(service: string, inner: Journal): Journal;
  /** An announcement was refused. */
  refused(code: ErrorCode): void;
  /** The values now. */
  read(): Snapshot;
}

/** A number of events and the sum of their seconds. */
export interface Total {
  count: number;
  sum: number;
}

export interface ServiceValues {
  /** Deployments by ending, since the agent started. */
  endings: Readonly<Record<Ending, number>>;
  /** Seconds in each step, of the deployments that ended since the agent started. */
  steps: Readonly<Record<Step, Total>>;
  /** For how long the desired state differs from what runs, as far as this agent has noticed; 0 when it does not. */
  driftSeconds: number;
  /** How long the waiting order has waited; 0 without one. */
  waitingSeconds: number;
  /** The age of the oldest report that is not in the record yet; 0 without one. */
  outboxSeconds: number;
  outboxReports: number;
  isDeploying: boolean;
  isBroken: boolean;
}

export interface Snapshot {
  agent: Pick<Identity, 'env' | 'instance' | 'agentVersion'>;
  /** When the agent started, ms since the epoch. */
  startedAt: number;
  services: ReadonlyMap<string, ServiceValues>;
  /** Refused announcements by error code. */
  refused: ReadonlyMap<ErrorCode, number>;
  /** The age of each message at its receipt: how long it was on its way and in the queue. */
  messages: Total;
  /** When the queue last answered, ms since the epoch; undefined before. */
  receivedAt: number | undefined;
  /** Whether the instance is about to be terminated. */
  isNoticed: boolean;
}

export interface MetricsParts {
  services: readonly string[];
  identity: Identity;
  clock: Pick<Clock, 'now' | 'monotonic'>;
  /** The desired state of a service as it was read last. */
  desired(service: string): Desired | undefined;
  /** Called once for each deployment that ends. */
  onEnding?: ((report: Report) => void) | undefined;
  /** Called with the age of each message, seconds. */
  onMessage?: ((ageSeconds: number) => void) | undefined;
}

/** The codes with which an announcement is refused before it belongs to a service. They are there with 0 from the start. */
const REFUSALS: readonly ErrorCode[] = ['SIGNATURE_INVALID', 'DOCUMENT_INVALID', 'WRONG_ENVIRONMENT'];

export function createMetrics(parts: MetricsParts): Metrics {
  const { clock, identity } = parts;
  const services = new Map(parts.services.map((name) => [name, createService(parts, name)]));
  const refused = new Map<ErrorCode, number>(REFUSALS.map((code) => [code, 0]));
  const messages = { count: 0, sum: 0 };
  const startedAt = clock.now();
  let receivedAt: number | undefined;
  let isNoticed = false;

  return {
    inbox: (inner) => ({
      ...inner,
      async receive(signal) {
        const received = await inner.receive(signal);
        receivedAt = clock.now();
        for (const { sentAt } of received) {
          // The clock of AWS and ours, which is learned from its answers, may differ by seconds.
          const age = Math.max(0, receivedAt - sentAt) / 1000;
          messages.count += 1;
          messages.sum += age;
          parts.onMessage?.(age);
        }
        return received;
      },
    }),

    reporter: (inner) => ({
      ...inner,
      async putInstance(record, signal) {
        isNoticed = record.notice?.terminating === true;
        await inner.putInstance(record, signal);
      },
    }),

    journal: (service, inner) => services.get(service)?.journal(inner) ?? inner,

    refused: (code) => void refused.set(code, (refused.get(code) ?? 0) + 1),

    read: () => ({
      agent: identity,
      startedAt,
      services: new Map([...services].map(([name, service]) => [name, service.read()])),
      refused: new Map(refused),
      messages: { ...messages },
      receivedAt,
      isNoticed,
    }),
  };
}

function createService({ clock, desired, onEnding }: MetricsParts, name: string) {
  const endings = recordOf(ENDINGS, () => 0);
  const steps = recordOf(STEPS, () => ({ count: 0, sum: 0 }));
  let state: ServiceState | undefined;
  let driftingSince: number | undefined;

  function count(report: Report): void {
    endings[report.state as Ending] += 1;
    for (const step of STEPS) {
      const ms = report.timings[step];
      if (ms === undefined) continue;
      steps[step].count += 1;
      steps[step].sum += ms / 1000;
    }
    onEnding?.(report);
  }

  function noteDrift(): void {
    if (!isBehind(state, desired(name))) driftingSince = undefined;
    else driftingSince ??= clock.monotonic();
  }

  /** Seconds since `time`, ms since the epoch; 0 when there is none. */
  const since = (time: number | undefined) =>
    time === undefined || Number.isNaN(time) ? 0 : Math.max(0, clock.now() - time) / 1000;

  return {
    journal: (inner: Journal): Journal => ({
      async load() {
        const loaded = await inner.load();
        state = loaded.state;
        return loaded;
      },
      async append(next) {
        await inner.append(next);
        const before = new Set(state?.endings.map(({ report }) => report.deployment));
        state = next;
        for (const { report } of next.endings) if (!before.has(report.deployment)) count(report);
        noteDrift();
      },
    }),

    read(): ServiceValues {
      noteDrift();
      const oldest = state?.outbox[0];
      return {
        endings: { ...endings },
        steps: recordOf(STEPS, (step) => ({ ...steps[step] })),
        driftSeconds: driftingSince === undefined ? 0 : (clock.monotonic() - driftingSince) / 1000,
        waitingSeconds: since(state?.waiting?.receivedAt),
        outboxSeconds: since(oldest && Date.parse(oldest.report.at)),
        outboxReports: state?.outbox.length ?? 0,
        isDeploying: Boolean(state?.active),
        isBroken: state !== undefined && brokenBy(state) !== null,
      };
    },
  };
}

/** A desired state of before the last deployment here is no drift: the publisher has not written the newer one yet. */
function isBehind(state: ServiceState | undefined, want: Desired | undefined): boolean {
  const running = state?.running;
  return want !== undefined && want.version !== running?.version && want.sequence > (running?.sequence ?? 0);
}

function recordOf<K extends string, V>(keys: readonly K[], value: (key: K) => V): Record<K, V> {
  return Object.fromEntries(keys.map((key) => [key, value(key)])) as Record<K, V>;
}
