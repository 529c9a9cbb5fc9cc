import { createAgentQueue } from '../../../agent/aws/queue.ts';
import { createReporter } from '../../../agent/aws/reporter.ts';
import { initialState, type Order, type ServiceState } from '../../../agent/deploy/state.ts';
import {
  started,
  withActive,
  withActiveEnded,
  withOrder,
  withSequence,
  withWaiting,
} from '../../../agent/deploy/state-transitions.ts';
import { admit } from '../../../agent/loop/admit.ts';
import { announcement } from '../../../shared/announcement.ts';
import type { Aws } from '../../../shared/aws.ts';
import { createClock } from '../../../shared/clock.ts';
import { silentLog } from '../../../shared/log.ts';
import type { InstanceRecord, Report } from '../../../shared/report.ts';
import { loadPublicKey, type Verifier, verifierOf } from '../../../shared/signing.ts';
import { isEnding, type State } from '../../../shared/states.ts';
import { clientsOf } from '../../support/cloud/clients.ts';
import { instanceKey, userIdOf } from '../../support/cloud/sqs.ts';

/**
 * `crowd-process.ts FIRST COUNT KEYFILE`: COUNT agents in one process. Each has its own queue, verifies, admits and reports
 * with the code of the real agent, and deploys nothing. Prints `ready` when all wait for announcements; ends on SIGTERM,
 * or when its stdin ends.
 */

const ENV = 'dev';
const SERVICE = 'app';
const BUCKET = 'acme-deploys-dev';
/** How many join at a time. */
const JOINING = 32;
const PROGRESS = ['preparing', 'prepared', 'switching', 'starting', 'checking', 'watching'] as const;

const [first = '1', count = '1', keyFile = ''] = process.argv.slice(2);
const { AWS_ENDPOINT_URL: endpoint = '', AWS_REGION: region = '' } = process.env;
const topic = `arn:aws:sns:${region}:000000000000:trigger-deploy-${ENV}`;
const gone = new AbortController();
const log = silentLog();

process.once('SIGTERM', () => gone.abort());
process.stdin.once('end', () => gone.abort()).resume();
const verifier = verifierOf([await loadPublicKey(keyFile)]);
const numbers = Array.from({ length: Number(count) }, (_, i) => Number(first) + i);
const running: Promise<void>[] = [];
await Promise.all(
  Array.from({ length: JOINING }, async (_, worker) => {
    for (let i = worker; i < numbers.length; i += JOINING) {
      running.push((await agent(`i-${(numbers[i] ?? 0).toString(16).padStart(8, '0')}`, verifier)).ended);
    }
  }),
);
process.stdout.write('ready\n');
await Promise.allSettled(running);
process.exit(0);

/** Joins. `ended` resolves when it has ended. */
async function agent(instance: string, trusted: Verifier): Promise<{ ended: Promise<void> }> {
  const clients = clientsOf({ endpoint, region }, instanceKey(instance), 3);
  const clock = createClock(() => Date.now());
  const aws = { ...clients, now: () => Date.now() } as unknown as Aws;
  const userId = async () => userIdOf(instance);
  const queue = createAgentQueue({ aws, env: ENV, instance, topic, log, userId });
  const reporter = createReporter({ aws, bucket: BUCKET, clock, log, userId });
  const { signal } = gone;
  let state: ServiceState = initialState(instance, SERVICE);
  let last: Report | undefined;

  function report(order: Order, said: State): Report {
    const { deployment, sequence, version } = order;
    const about = { kind: 'report', v: 1, env: ENV, service: SERVICE, instance } as const;
    const n = last?.deployment === deployment ? last.n + 1 : 0;
    const at = new Date().toISOString();
    last = { ...about, deployment, sequence, version, n, at, state: said, timings: {} };
    return last;
  }

  function recordNow(): InstanceRecord {
    const { running: now, seen } = state;
    const about = { v: 1, env: ENV, service: SERVICE, instance, version: now?.version ?? null } as const;
    const more = { sequence: now?.sequence ?? 0, seen: seen?.sequence ?? 0, pinned: false, active: true };
    return { ...about, ...more, agentVersion: '0.1.0', at: new Date().toISOString() };
  }

  /** From where it is on, up to `prepared` if it holds, else to the end. */
  async function go(order: Order): Promise<void> {
    for (const next of PROGRESS.slice(
      PROGRESS.indexOf(state.active?.state as (typeof PROGRESS)[number]) + 1,
    )) {
      state = withActive(state, { state: next });
      const said = report(order, next);
      const holds = next === 'prepared' && state.active?.order.hold;
      if (holds) return await reporter.deliver(said, order.replyTo, signal);
      reporter.progress(said, order.replyTo);
    }
    const ending = report(order, 'succeeded');
    state = withActiveEnded(state, 'succeeded', ending);
    await Promise.all([
      reporter.deliver(ending, order.replyTo, signal),
      reporter.putInstance(recordNow(), signal),
    ]);
  }

  async function hear(text: string): Promise<void> {
    const said = await trusted.verify('td-announcement+jws', text, announcement);
    const decision = admit(said, { env: ENV, instance, now: Date.now(), state });
    if (decision.do === 'raise') state = withSequence(state, decision.sequence, said.deployment);
    if (decision.do === 'accept') {
      const { order } = decision;
      state = withWaiting(withSequence(state, order.sequence, order.deployment), order);
      state = started(state, { bootId: 'b', now: Date.now() });
      await reporter.deliver(report(order, 'accepted'), order.replyTo, signal);
      await go(order);
    }
    if (decision.do === 'proceed') {
      state = withOrder(state, said.deployment, {
        hold: false,
        ...(said.replyTo && { replyTo: said.replyTo }),
      });
      if (state.active) await go(state.active.order);
    }
    if (decision.do === 'repeat' && last?.deployment === said.deployment) {
      if (isEnding(last.state)) await reporter.deliver(last, said.replyTo, signal);
      else reporter.progress(last, said.replyTo);
    }
    if (decision.do === 'answer-roll-call') {
      const about = { kind: 'roll-call', v: 1, rollCall: said.deployment, env: ENV, instance } as const;
      const at = new Date().toISOString();
      reporter.progress({ ...about, agentVersion: '0.1.0', at, services: [recordNow()] }, said.replyTo);
    }
  }

  async function listen(): Promise<void> {
    while (!signal.aborted) {
      for (const message of await queue.receive(signal)) {
        await queue.delete(message, signal);
        await hear(message.body);
      }
    }
  }

  await queue.ensure(signal);
  await reporter.putInstance(recordNow(), signal);
  const ended = listen().catch((error: unknown) => {
    if (!signal.aborted) process.stderr.write(`${instance}: ${String(error)}\n`);
  });
  return { ended };
}
