import {
  DeregisterTargetsCommand,
  DescribeTargetGroupAttributesCommand,
  DescribeTargetHealthCommand,
  ElasticLoadBalancingV2Client,
  RegisterTargetsCommand,
  type TargetHealth,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { sleepUnlessAborted } from '../../shared/abort.ts';
import type { Aws } from '../../shared/aws.ts';
import { awsError, isPassing } from '../../shared/aws-errors.ts';
import { formatMs } from '../../shared/duration.ts';
import { TriggerDeployError } from '../../shared/errors.ts';
import { backoffMs, deadline, retry } from '../../shared/retry.ts';
import type { Finding } from '../deploy/ports.ts';
import type { Traffic } from '../deploy/traffic-port.ts';
import { finding } from './aws-call.ts';

/** A target group, and the port under which the instance is registered in it. */
export interface TargetGroup {
  arn: string;
  /** Undefined for the group's default port. */
  port?: number | undefined;
}

export interface LoadBalancerOptions {
  aws: Aws;
  instance: string;
  targetGroups: readonly TargetGroup[];
  /** ms */
  drainTimeout: number;
  /** ms */
  healthyTimeout: number;
  /** The first and the longest pause between two polls, ms. AWS throttles this API for the whole account. */
  polls?: { first: number; longest: number };
}

/** Elastic Load Balancing v2: the registration of one instance in its target groups. */
export interface LoadBalancer extends Traffic {
  /** Checks that the groups can be read, and that the drain timeout exceeds their delay. Changes nothing. */
  probe(signal: AbortSignal): Promise<Finding[]>;
}

const POLLS = { first: 1000, longest: 10_000 };
/** A call may be throttled, or AWS may be down; the deadline of the whole operation ends the retries. */
const CALLS = { attempts: Number.POSITIVE_INFINITY, first: 500, longest: 10_000 };
/** The timeout of an operation that does not poll, ms. */
const CALL_TIMEOUT = 60_000;
const DELAY = 'deregistration_delay.timeout_seconds';

export function createLoadBalancer(options: LoadBalancerOptions): LoadBalancer {
  const { aws, instance, drainTimeout, healthyTimeout, polls = POLLS } = options;
  const configured = options.targetGroups.map(keyOf);
  let made: ElasticLoadBalancingV2Client | undefined;
  const client = () => {
    made ??= aws.limited(new ElasticLoadBalancingV2Client(aws.settings), 'Elastic Load Balancing');
    return made;
  };
  const addressed = (key: string) => {
    const { arn, port } = groupOf(key);
    return { TargetGroupArn: arn, Targets: [{ Id: instance, ...(port !== undefined && { Port: port }) }] };
  };

  async function stateIn(key: string, signal: AbortSignal): Promise<TargetHealth> {
    const command = new DescribeTargetHealthCommand(addressed(key));
    const { TargetHealthDescriptions } = await client().send(command, { abortSignal: signal });
    return TargetHealthDescriptions?.[0]?.TargetHealth ?? { State: 'unused', Reason: 'Target.NotRegistered' };
  }

  /** Runs `work` for all `keys` in parallel. After `ms` it fails, and the error has the last state that was seen. */
  async function forEachGroup(
    ms: number,
    keys: readonly string[],
    doing: string,
    signal: AbortSignal,
    work: (key: string, signal: AbortSignal, onState: (state: TargetHealth) => void) => Promise<void>,
    setting?: 'drainTimeout' | 'healthyTimeout',
  ): Promise<void> {
    using bound = deadline(ms, signal, doing);
    const one = async (key: string) => {
      let last = 'no answer yet';
      try {
        await work(key, bound.signal, (state) => {
          last = stateText(state);
        });
      } catch (error) {
        signal.throwIfAborted();
        throw failure(
          error,
          `${doing} ${nameOf(key)}`,
          bound.expired() ? `${last} after ${formatMs(ms)}` : '',
          setting && `\`${setting}\` in agent.yaml (${formatMs(ms)}) limits the wait`,
        );
      }
    };
    const results = await Promise.allSettled(keys.map(one));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  /** Polls until `isReached` is true of the state. */
  async function pollUntil(
    key: string,
    note: (text: string) => void,
    signal: AbortSignal,
    onState: (state: TargetHealth) => void,
    isReached: (state: TargetHealth) => boolean,
  ): Promise<void> {
    for (let polled = 0; ; polled += 1) {
      const state = await retryUntilAborted(() => stateIn(key, signal), signal);
      onState(state);
      note(`${nameOf(key)}: ${stateText(state)}`);
      if (isReached(state)) return;
      await sleepUnlessAborted(backoffMs(polled, polls), signal);
    }
  }

  return {
    async groups(signal) {
      const registered = new Set<string>();
      await forEachGroup(CALL_TIMEOUT, configured, 'read the target group', signal, async (key, bound) => {
        if (isRegistered(await retryUntilAborted(() => stateIn(key, bound), bound))) registered.add(key);
      });
      return configured.filter((key) => registered.has(key));
    },

    async leave(groups, note, signal) {
      await forEachGroup(
        drainTimeout,
        groups,
        'drain from',
        signal,
        async (key, bound, onState) => {
          const command = new DeregisterTargetsCommand(addressed(key));
          await retryUntilAborted(() => client().send(command, { abortSignal: bound }), bound);
          await pollUntil(key, note, bound, onState, ({ State }) => State === 'unused');
        },
        'drainTimeout',
      );
    },

    async join(groups, signal) {
      await forEachGroup(CALL_TIMEOUT, groups, 'register with', signal, async (key, bound) => {
        const command = new RegisterTargetsCommand(addressed(key));
        await retryUntilAborted(() => client().send(command, { abortSignal: bound }), bound);
      });
    },

    async healthy(groups, note, signal) {
      await forEachGroup(
        healthyTimeout,
        groups,
        'become healthy in',
        signal,
        (key, bound, onState) => pollUntil(key, note, bound, onState, isServing),
        'healthyTimeout',
      );
    },

    async probe(signal) {
      const findings = configured.map((key) =>
        finding(`read the target group ${nameOf(key)}`, signal, async () => {
          const state = await stateIn(key, signal);
          if (isRegistered(state))
            return `${instance} is ${stateText(state)} in the target group ${nameOf(key)}`;
          return `${instance} is not in the target group ${nameOf(key)}; deployments do not register it there`;
        }),
      );
      const delays = configured.map((key) => delayFinding(key, signal));
      return (await Promise.all([...findings, ...delays])).flat();
    },
  };

  /** A finding about the deregistration delay of a group: `drainTimeout` must be longer. */
  async function delayFinding(key: string, signal: AbortSignal): Promise<Finding[]> {
    const { arn } = groupOf(key);
    const command = new DescribeTargetGroupAttributesCommand({ TargetGroupArn: arn });
    let seconds = 0;
    const seen = await finding(`read the attributes of the target group ${nameOf(key)}`, signal, async () => {
      const { Attributes = [] } = await client().send(command, { abortSignal: signal });
      seconds = Number(Attributes.find(({ Key }) => Key === DELAY)?.Value ?? 0);
      return `the target group ${nameOf(key)} drains for ${seconds} s`;
    });
    // A target stays `draining` for the whole delay, even without open requests.
    if (!seen.ok || seconds * 1000 < drainTimeout) return [seen];
    const what = `${seen.what}, but drainTimeout is ${formatMs(drainTimeout)}: every deployment would fail`;
    return [{ ok: false, what, hint: 'shorten the deregistration delay, or raise drainTimeout' }];
  }
}

/** Retries errors that may pass by themselves, until `signal` aborts. */
function retryUntilAborted<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  return retry(work, { ...CALLS, signal, retryable: isPassing });
}

/** `doing` completes a message that begins with "cannot". `late` is the last state after a timeout, otherwise empty. */
function failure(error: unknown, doing: string, late: string, setting?: string): TriggerDeployError {
  if (late !== '') {
    const hint = setting ?? 'check the network of the instance, and the state of the load balancer in AWS';
    return new TriggerDeployError('TRAFFIC_FAILED', `cannot ${doing}: ${late}`, { cause: error, hint });
  }
  const { message, hint } = awsError(error, doing);
  return new TriggerDeployError('TRAFFIC_FAILED', message, { cause: error, hint });
}

/** A draining target counts as not registered: somebody has deregistered it, and it is about to leave the group. */
function isRegistered({ State, Reason }: TargetHealth): boolean {
  return State !== 'draining' && Reason !== 'Target.NotRegistered';
}

/** True if the target is healthy or not checked: no load balancer uses its group or zone, or health checks are off. */
function isServing({ State, Reason }: TargetHealth): boolean {
  return (
    State === 'healthy' || State === 'unavailable' || (State === 'unused' && Reason === 'Target.NotInUse')
  );
}

function stateText({ State, Reason }: TargetHealth): string {
  return Reason === undefined ? String(State) : `${State} (${Reason})`;
}

/** The key of a group, also in the journal: `ARN`, or `ARN:PORT`. */
const keyOf = ({ arn, port }: TargetGroup) => (port === undefined ? arn : `${arn}:${port}`);

function groupOf(key: string): TargetGroup {
  const [, arn = key, port] = /^(arn:(?:[^:]*:){4}[^:]+)(?::(\d+))?$/.exec(key) ?? [];
  return port === undefined ? { arn } : { arn, port: Number(port) };
}

/** The name of a group for people: its name in the ARN, and its port if the config has one. */
function nameOf(key: string): string {
  const { arn, port } = groupOf(key);
  const name = arn.split('/')[1] ?? arn;
  return port === undefined ? name : `${name}:${port}`;
}
