import { expect } from 'vitest';
import { push } from '../../../../publisher/commands/push.ts';
import { loadEnvironment } from '../../../../publisher/config/load.ts';
import type { PublisherEvent, Settled } from '../../../../publisher/events.ts';
import type { DeploymentRecord } from '../../../../publisher/record/deployment-schema.ts';
import { createJson } from '../../../../publisher/render/json.ts';
import { createLines } from '../../../../publisher/render/lines.ts';
import { openSession } from '../../../../publisher/session.ts';
import type { State } from '../../../../shared/states.ts';
import { ENV, type Fleet, sampleService, startFleet } from '../../../support/fleet/fleet.ts';
import { type RunningVerb, runVerb } from '../../../support/publisher/run-verb.ts';
import { type Intruder, openIntruder } from './intruder.ts';
import { HONEST, SERVICE } from './lies.ts';

/** Two honest agents, the publisher's own code in this process, and the role of a third instance in other hands. */

const VERSIONS = ['1.0.0', '1.1.0'] as const;
/** It never becomes healthy. */
export const BAD = '2.0.0';

/** A command that waits for an instance which does not answer takes 45 s at least. */
const BOUND_MS = 30_000;

export interface Ended {
  /** The exit code, or the code of the error. */
  ended: number | string;
  events: readonly PublisherEvent[];
  lines: readonly string[];
}

export interface InstanceWorld {
  fleet: Fleet;
  evil: Intruder;
  start(...argv: string[]): Promise<RunningVerb>;
  /** Waits until the command has ended. @throws when that takes as long as the wait for an instance. */
  end(running: RunningVerb): Promise<Ended>;
  run(...argv: string[]): Promise<Ended>;
  /** The version of `VERSIONS` that is not the desired one. */
  next(): Promise<string>;
  desired(): Promise<string | undefined>;
  newest(): Promise<DeploymentRecord>;
  sequence(): Promise<number>;
  /** The honest instances run `version`, and `status` says so, with the state of their last deployment. */
  honestRun(version: string, state?: State): Promise<void>;
  close(): Promise<void>;
}

export async function openInstanceWorld(): Promise<InstanceWorld> {
  const fleet = await startFleet();
  const { cloud } = fleet;
  Object.assign(process.env, cloud.env('publisher'));
  const source = { cwd: fleet.publisherDir, home: fleet.dir, variables: {}, file: undefined };
  const env = await loadEnvironment(source, { name: ENV, orHome: false });
  const { signal } = new AbortController();
  const session = await openSession(env, { signal, emit: () => undefined, environment: {} });
  const { deployments, desired: states, locks } = session.record;
  for (const version of [...VERSIONS, BAD]) {
    const behaviour = version === BAD ? { healthStatus: 500 } : {};
    const file = await fleet.pack(version, behaviour);
    await push(session, { service: SERVICE, version, files: [file], configs: [] });
  }
  for (const id of HONEST) {
    await fleet.addInstance(id, (instance) => ({ [SERVICE]: quick(sampleService(instance, {}, '2s')) }));
  }
  const evil = await openIntruder(fleet, HONEST);

  const start = async (...argv: string[]) => {
    // What is emitted is written in both forms, as the program does it.
    const renderers = [createJson(() => undefined), createLines(() => undefined)];
    const onEvent = (event: PublisherEvent) => {
      for (const one of renderers) one.event(event);
    };
    return await runVerb({ env }, [...argv, '--env', ENV], { clock: session.clock, onEvent });
  };
  const end = async (running: RunningVerb): Promise<Ended> => {
    const late = AbortSignal.timeout(BOUND_MS);
    const { promise: limit, reject } = Promise.withResolvers<never>();
    late.addEventListener('abort', () =>
      reject(new Error(`${running.argv.join(' ')} did not end in ${BOUND_MS} ms`)),
    );
    const ended = await Promise.race([running.ended, limit]);
    limit.catch(() => undefined);
    const { events } = running;
    if (!('error' in ended)) return { ended: ended.code, events, lines: ended.lines };
    expect(ended.error.code, ended.error.stack ?? '').not.toBe('INTERNAL');
    return { ended: ended.error.code, events, lines: [ended.error.message] };
  };
  const run = async (...argv: string[]) => await end(await start(...argv));
  const desired = async () => (await states.read(SERVICE))?.value.version;

  return {
    ...{ fleet, evil, start, end, run, desired },
    next: async () => VERSIONS[(await desired()) === VERSIONS[0] ? 1 : 0],
    async newest() {
      const newest = await deployments.newest(SERVICE);
      if (newest === undefined) throw new Error('there is no deployment');
      return newest.value;
    },
    sequence: async () => (await locks.look(SERVICE)).sequence ?? 0,
    async honestRun(version, state = 'succeeded') {
      for (const instance of fleet.instances) {
        expect(await fleet.ask(instance), instance.id).toMatchObject({ version, status: 200 });
      }
      const { ended, lines } = await run('status', SERVICE);
      expect(ended).toBe(0);
      for (const id of HONEST) {
        const said = lines.filter((line) => line.startsWith(`${SERVICE} ${id} `));
        expect(said, lines.join('\n')).toEqual([
          expect.stringMatching(
            new RegExp(`^${SERVICE} ${id} ${version} desired ${version} ${state} active .* answered`),
          ),
        ]);
      }
    },
    async close() {
      session.close();
      await evil.close();
      await fleet.stop();
    },
  };
}

export const settledOf = (events: readonly PublisherEvent[]): Settled | undefined =>
  events.findLast((event) => event.type === 'settled');

export const notesOf = (events: readonly PublisherEvent[]): string =>
  events.flatMap((event) => ('text' in event && event.text ? [event.text] : [])).join('\n');

/** A version is healthy at its first answer, and is not watched. */
function quick(service: ReturnType<typeof sampleService>) {
  const [check] = service.checks as { http: object }[];
  return { ...service, checks: [{ http: { ...check?.http, successes: 1 } }], watch: '0s' };
}
