import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { LogPart, LogStore } from '../../../agent/deploy/log-port.ts';
import { createFileLogs } from '../../../agent/host/logs/file-logs.ts';
import { createGate } from '../../../agent/host/logs/gate.ts';
import { createLogShipper, type LogShipper } from '../../../agent/host/logs/shipper.ts';
import { logEntry } from '../../../agent/host/logs/streams.ts';
import { createUnitLogs } from '../../../agent/host/logs/unit-logs.ts';
import { createUploads } from '../../../agent/host/logs/uploads.ts';
import { openDurableMap } from '../../../agent/host/state/durable-map.ts';
import { createLog, type Log } from '../../../shared/log.ts';
import { keys } from '../../../shared/names.ts';
import { calm, sleepingClock } from '../host/clock.ts';
import { temporaryDirectory } from '../host/temporary.ts';

/** A bucket in memory that takes parts of logs as S3 does: an object is never written over. */
export interface LogBucket extends LogStore {
  objects: Map<string, LogPart>;
  /** How often a part was given. */
  puts: number;
  /** Called before a part is stored, and after. What it throws is the answer. */
  before: (part: LogPart) => void | Promise<void>;
  after: (part: LogPart) => void | Promise<void>;
  /** The bytes of each log, in the order in which they were first seen. @throws where bytes are missing or twice. */
  logs(): string[];
}

function createLogBucket(): LogBucket {
  const objects = new Map<string, LogPart>();
  return {
    objects,
    puts: 0,
    before: () => {},
    after: () => {},
    async put(part, signal) {
      signal.throwIfAborted();
      this.puts += 1;
      await this.before(part);
      const key = keys.logPart('dev', 'payments', 'AROAEXAMPLE:i-1', part);
      const stored = objects.get(key);
      if (stored && !stored.sha256.equals(part.sha256)) throw new Error(`other bytes under ${key}`);
      if (!stored) objects.set(key, part);
      await this.after(part);
    },
    logs() {
      const logs = new Map<string, LogPart[]>();
      for (const part of [...objects].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, part]) => part)) {
        const parts = logs.get(part.id) ?? [];
        const expected = parts.at(-1)?.end ?? 0;
        if (part.start !== expected) throw new Error(`${part.name}: bytes ${expected} to ${part.start}`);
        logs.set(part.id, [...parts, part]);
      }
      return [...logs.values()]
        .sort(([a], [b]) => (a?.since ?? 0) - (b?.since ?? 0))
        .map((parts) => parts.map(textOf).join(''));
    },
  };
}

function textOf({ body, compressed, start, end }: LogPart): string {
  const bytes = compressed ? gunzipSync(body) : body;
  if (bytes.length !== end - start) throw new Error(`${bytes.length} bytes instead of ${end - start}`);
  return bytes.toString('latin1');
}

export interface LogWorld {
  dir: string;
  state: string;
  bucket: LogBucket;
  /** The entries of the log, as far as they are warnings or worse. */
  warnings: string[];
  /** A new shipper, as after a start of the agent. */
  start(): Promise<LogShipper>;
  /** A regular round of everything. */
  ship(): Promise<boolean>;
  busy: boolean;
  /** By AWS's clock, ms since the epoch. */
  time: number;
  clock: ReturnType<typeof sleepingClock>;
}

export interface LogWorldOptions {
  partBytes?: number;
  compress?: boolean;
  maxPerDay?: number;
  partCountsAs?: number;
  match?: string;
  unit?: string;
  bytesPerSecond?: number;
}

/** A service whose logs are in `dir`, and the shipper of an agent that may be killed and started again. */
export async function createLogWorld(options: LogWorldOptions = {}): Promise<LogWorld> {
  const {
    partBytes = 4096,
    compress = true,
    maxPerDay = 2 ** 40,
    partCountsAs = 0,
    match = '*.log*',
    unit,
  } = options;
  const root = await temporaryDirectory();
  const dir = join(root, 'logs');
  await mkdir(dir);
  const state = join(root, 'state', 'payments.state');
  const warnings: string[] = [];
  const now = () => {
    world.time += 1;
    return world.time;
  };
  let shipper: LogShipper | undefined;
  const world: LogWorld = {
    ...{ dir, state, bucket: createLogBucket(), warnings, busy: false, clock: sleepingClock() },
    time: Date.parse('2026-11-28T10:00:00Z'),
    async start() {
      const { clock, bucket: store } = world;
      const gate = createGate({
        ...{ bytesPerSecond: options.bytesPerSecond ?? 2 ** 40, clock, isBusy: () => world.busy },
      });
      const shared = { partBytes, compress, now, log: noting(warnings) };
      const map = await openDurableMap(state, (value) => logEntry.parse(value));
      const uploads = createUploads({ ...shared, map, store, maxPerDay, partCountsAs });
      const files = createFileLogs({ ...shared, uploads, places: [{ dir, match }] });
      const unitLogs = unit === undefined ? undefined : createUnitLogs({ ...shared, unit, uploads });
      shipper = createLogShipper({
        ...{ ...shared, service: 'payments', files, unit: unitLogs, uploads, gate, clock },
      });
      return shipper;
    },
    async ship() {
      shipper ??= await world.start();
      return await shipper.round(true, calm);
    },
  };
  return world;
}

/** The same, with files in its directory. `ship` uploads everything and returns the logs in the bucket. */
export async function worldWith(files: Record<string, string>, options: LogWorldOptions = {}) {
  const world = await createLogWorld(options);
  const at = (name: string) => join(world.dir, name);
  for (const [name, text] of Object.entries(files)) await writeFile(at(name), text);
  const ship = async () => {
    await world.ship();
    return world.bucket.logs();
  };
  return { ...world, world, at, ship };
}

/** Lines of a log, each unlike all others. */
export const lines = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => `line ${String(from + i).padStart(6, '0')} of the log\n`).join(
    '',
  );

/** A log whose warnings and errors go to `warnings`. */
function noting(warnings: string[]): Log {
  const log = createLog('silent', {});
  const note = (...[first, second]: unknown[]) => void warnings.push(String(second ?? first));
  return Object.assign(Object.create(log), { warn: note, error: note, child: () => noting(warnings) }) as Log;
}
