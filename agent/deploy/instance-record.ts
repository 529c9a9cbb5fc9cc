import { messageOf } from '../../shared/errors.ts';
import type { Log } from '../../shared/log.ts';
import type { InstanceRecord } from '../../shared/report.ts';
import { buildInstanceRecord } from './build-report.ts';
import type { Identity, Ports } from './ports.ts';
import type { StateStore } from './state-store.ts';

/** What this instance runs of one service, looked up now. */
export type ReadRecord = (signal: AbortSignal) => Promise<InstanceRecord>;

/** What cannot be told is missing in the answer: one service must not keep a whole instance from saying what it runs. */
export function createRecordReader(context: {
  ports: Ports;
  identity: Identity;
  log: Log;
  store: StateStore;
}): ReadRecord {
  const { ports, identity, log, store } = context;
  let lastError: string | undefined;

  async function currentVersion(): Promise<string | null> {
    try {
      const version = await ports.package.current();
      lastError = undefined;
      return version;
    } catch (error) {
      const why = messageOf(error);
      if (why !== lastError) log.error({ err: error }, `which version is current cannot be told: ${why}`);
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
    return buildInstanceRecord(identity, store.read(), { version, active }, ports.clock.now());
  };
}
