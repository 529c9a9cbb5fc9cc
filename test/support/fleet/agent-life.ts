import { onTestFinished } from 'vitest';
import type { ServiceConfig } from '../../../agent/deploy/ports.ts';
import { openWorker, type ServiceWorker } from '../../../agent/deploy/worker.ts';
import { TriggerDeployError } from '../../../shared/errors.ts';
import { type Log, silentLog } from '../../../shared/log.ts';
import type { Report } from '../../../shared/report.ts';
import { isEnding } from '../../../shared/states.ts';
import { createFakePorts, IDENTITY, type Model, serviceConfig } from './fake-ports.ts';

/** One worker over an instance in memory, from its start to `stop` or to the end of the test. */
export interface Life {
  worker: ServiceWorker;
  /** The ending reported for this deployment. */
  ending(deployment: string): Promise<Report>;
  /** Resolves once `which` holds; evaluated again after each report, record and journal entry. */
  reached(which: (reports: Report[]) => boolean): Promise<void>;
  stop(): Promise<void>;
}

export async function live(
  model: Model,
  service: ServiceConfig = serviceConfig(),
  ports = createFakePorts(model),
  log: Log = silentLog(),
): Promise<Life> {
  const looks = new Set<() => void>();
  const lookAgain = () => {
    for (const look of looks) look();
  };
  const andLook =
    <Args extends unknown[]>(act: (...args: Args) => Promise<void>) =>
    async (...args: Args) => {
      await act(...args);
      lookAgain();
      // What was written can be read a moment later.
      setImmediate(lookAgain);
    };
  const { reporter, journal } = ports;
  const { progress } = reporter;
  reporter.progress = (reply, replyTo) => {
    progress(reply, replyTo);
    lookAgain();
  };
  reporter.deliver = andLook(reporter.deliver);
  reporter.putInstance = andLook(reporter.putInstance);
  journal.append = andLook(journal.append);

  const said = () => [...model.progress.filter((reply) => reply.kind === 'report'), ...model.delivered];
  const reached = async (which: (reports: Report[]) => boolean) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = () => {
      if (which(said())) resolve();
    };
    looks.add(look);
    look();
    await promise;
    looks.delete(look);
  };

  const worker = await openWorker({ service, ports, identity: IDENTITY, log });
  const stopping = new AbortController();
  const running = worker.run(stopping.signal);
  const stop = async () => {
    stopping.abort(new TriggerDeployError('INTERRUPTED', 'stopped'));
    await running;
  };
  onTestFinished(stop);
  return {
    worker,
    reached,
    async ending(deployment) {
      const find = () => model.delivered.find((one) => one.deployment === deployment && isEnding(one.state));
      await reached(() => find() !== undefined);
      return find() as Report;
    },
    stop,
  };
}
