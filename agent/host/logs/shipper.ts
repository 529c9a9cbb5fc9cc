import { orAborted, sleepUnlessAborted } from '../../../shared/abort.ts';
import type { Clock } from '../../../shared/clock.ts';
import { messageOf } from '../../../shared/errors.ts';
import type { Log } from '../../../shared/log.ts';
import { deadline } from '../../../shared/retry.ts';
import type { ServiceLogs } from '../../deploy/ports.ts';
import type { FileLogs, ShipHow, Unsettled } from './file-logs.ts';
import type { Gate, Turn } from './gate.ts';
import type { UnitLogs } from './unit-logs.ts';
import type { Uploads } from './uploads.ts';

/** Ships the logs of one service: regularly, and for the last time. */
export interface LogShipper extends ServiceLogs {
  /**
   * A regular round: rotated files that are complete, what fills a part, and with `all` everything. Returns false if it
   * was not done: a deployment runs, or last logs are uploaded.
   * @throws AWS errors, system errors; the reason of `signal`.
   */
  round(all: boolean, signal: AbortSignal): Promise<boolean>;
}

export interface ShipperOptions {
  service: string;
  files: FileLogs;
  /** Undefined if the journal of the unit is not shipped. */
  unit: UnitLogs | undefined;
  uploads: Uploads;
  gate: Gate;
  partBytes: number;
  clock: Clock;
  log: Log;
}

/** The pause after an upload of last logs has failed, ms: their time is short. */
const LAST_RETRY = 1000;

export function createLogShipper(options: ShipperOptions): LogShipper {
  const { service, files, unit, uploads, gate, partBytes, clock, log } = options;
  /** Size and modification time of each file at the last look. */
  let before = new Map<string, string>();
  let idle: Promise<unknown> = Promise.resolve();

  /** One round at a time: they share the open directories and what is known of the files. Returns how to end it. */
  async function begin(signal: AbortSignal): Promise<() => void> {
    const earlier = idle;
    const { promise, resolve: end } = Promise.withResolvers<void>();
    idle = earlier.then(() => promise);
    try {
      await orAborted(earlier, signal);
      return end;
    } catch (error) {
      end();
      throw error;
    }
  }

  async function look(signal: AbortSignal) {
    const found = await files.look(signal);
    const stamp = ({ file }: Unsettled) => `${file.size} ${file.mtime}`;
    const known = before;
    before = new Map(found.map((one) => [one.stream.id, stamp(one)]));
    return found.map((one) => ({ ...one, isStill: known.get(one.stream.id) === stamp(one) }));
  }

  return {
    async round(all, signal) {
      let isWhole = true;
      const isDone = await gate.round(async (signal) => {
        const turn = async () => {
          const given = uploads.isSpent() ? undefined : await gate.regular(signal);
          isWhole &&= given !== undefined;
          return given;
        };
        const how: ShipHow = { signal, isLast: false, from: 'start', turn };
        const end = await begin(signal);
        try {
          const isDue = (one: Unsettled & { isStill: boolean }) =>
            one.stream.plan !== undefined || files.left(one) >= partBytes || (!one.isCurrent && one.isStill);
          for (const one of await look(signal)) {
            signal.throwIfAborted();
            if (all || isDue(one)) await files.ship(one, how);
          }
          if (all) await unit?.ship(how);
        } finally {
          await files.close().finally(end);
        }
      }, signal);
      return isDone && (isWhole || uploads.isSpent());
    },

    async shipLogs(signal, end) {
      using bound = deadline(Math.max(0, end - clock.monotonic()), signal, 'uploading the last logs');
      await gate.lastRound(() => last(bound.signal));
      signal.throwIfAborted();
    },
  };

  /** Ships everything, the newest first. Ends when it is done, or with the signal; says what is left. */
  async function last(signal: AbortSignal): Promise<void> {
    const began = clock.monotonic();
    let end: (() => void) | undefined;
    const turn = (): Promise<Turn> => gate.last(signal);
    const how = { signal, isLast: true, turn };
    let left: Unsettled[] = [];
    let isUnitDone = unit === undefined;
    let failure: unknown;
    while (!signal.aborted) {
      failure = undefined;
      try {
        // The regular round that was ended for this one may still have files open.
        end ??= await begin(signal);
        const found = (await look(signal)).reverse();
        const [current, rotated] = [
          found.filter((one) => one.isCurrent),
          found.filter((one) => !one.isCurrent),
        ];
        left = found;
        for (const one of current) await files.ship(one, { ...how, from: 'end' });
        if (unit) isUnitDone = await unit.ship(how);
        for (const one of [...current, ...rotated]) {
          await files.ship(one, { ...how, from: 'start' });
          left = left.filter((other) => other !== one);
        }
        break;
      } catch (error) {
        failure = error;
        if (end) await files.close();
        if (signal.aborted) break;
        log.warn({ err: error }, `uploading the last logs failed: ${messageOf(error)}`);
        await sleepUnlessAborted(LAST_RETRY, signal, clock).catch(() => {});
      }
    }
    if (end) await files.close().finally(end);
    const ms = Math.round(clock.monotonic() - began);
    const bytes = left.reduce((sum, one) => sum + files.left(one), 0);
    if (failure === undefined && isUnitDone && bytes === 0)
      log.info({ ms }, `the last logs of ${service} are uploaded`);
    else {
      const names = left.filter((one) => files.left(one) > 0).map((one) => one.file.label);
      log.error(
        { err: failure, ms, bytes, files: names.slice(0, 20), journal: !isUnitDone },
        `not all last logs of ${service} are uploaded: ${bytes} bytes of ${names.length} files are lost with this instance`,
      );
    }
  }
}
