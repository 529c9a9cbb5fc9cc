import { messageOf } from '../../shared/errors.ts';
import type { Log } from '../../shared/log.ts';
import type { InstanceRecord } from '../../shared/report.ts';
import { instanceRecordOf } from './build-report.ts';
import type { Identity, Ports } from './ports.ts';
import type { StateCell } from './state-store.ts';

/** What this instance runs of one service, looked up now. */
export type Look = (signal: AbortSignal) => Promise<InstanceRecord>;

/** What cannot be told is missing in the answer: one service must not keep a whole instance from saying what it runs. */
export function createLook(context: { ports: Ports; identity: Identity; log: Log; cell: StateCell }): Look {
  const { ports, identity, log, cell } = context;
  let told: string | undefined;

  async function currentVersion(): Promise<string | null> {
    try {
      const version = await ports.package.current();
      told = undefined;
      return version;
    } catch (error) {
      const why = messageOf(error);
      if (why !== told) log.error({ err: error }, `which version is current cannot be told: ${why}`);
      told = why;
      return null;
    }
  }

  return async (signal) => {
    const version = await currentVersion();
    const active = await ports.manager.status(signal).then(
      (status) => status.active,
      () => undefined,
    );
    return instanceRecordOf(identity, cell.read(), { version, active }, ports.clock.now());
  };
}
