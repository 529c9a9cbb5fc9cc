import { messageOf } from '../../shared/errors.ts';
import type { Log } from '../../shared/log.ts';
import type { InstanceNotice, InstanceRecord } from '../../shared/report.ts';
import { buildInstanceRecord } from './build-report.ts';
import type { Identity, Ports } from './ports.ts';
import type { StateStore } from './state-store.ts';

/** A function that reads what this instance runs of one service now. */
export type ReadRecord = (signal: AbortSignal) => Promise<InstanceRecord>;

/**
 * The function never throws, because one service must not prevent the reports of the others. A version that cannot be
 * read is reported as null; an unknown state of the unit is left out.
 */
export function createRecordReader(context: {
  ports: Ports;
  identity: Identity;
  log: Log;
  store: StateStore;
  /** What was announced about the life of the instance. */
  notice: () => InstanceNotice | undefined;
}): ReadRecord {
  const { ports, identity, log, store, notice } = context;
  let lastError: string | undefined;

  async function currentVersion(): Promise<string | null> {
    try {
      const version = await ports.package.current();
      lastError = undefined;
      return version;
    } catch (error) {
      const why = messageOf(error);
      if (why !== lastError) log.error({ err: error }, `the current version cannot be read: ${why}`);
      lastError = why;
      return null;
    }
  }

  return async (signal) => {
    const version = await currentVersion();
    const active = await ports.manager.status(signal).then(
      (status) => status.active,
      () => undefined,
    );
    return buildInstanceRecord(
      identity,
      store.read(),
      { version, active, notice: notice() },
      ports.clock.now(),
    );
  };
}
