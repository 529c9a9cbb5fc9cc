import { join } from 'node:path';
import type { Aws } from '../shared/aws.ts';
import type { Clock } from '../shared/clock.ts';
import type { Log } from '../shared/log.ts';
import { createLogStore } from './aws/log-store.ts';
import type { AgentConfig } from './config.ts';
import { createFileLogs } from './host/logs/file-logs.ts';
import { createGate } from './host/logs/gate.ts';
import { createLogShipper, type LogShipper } from './host/logs/shipper.ts';
import { logEntry } from './host/logs/streams.ts';
import { createUnitLogs } from './host/logs/unit-logs.ts';
import { createUploads } from './host/logs/uploads.ts';
import { openDurableMap } from './host/state/durable-map.ts';

/** Joins the adapters that upload logs. Loaded only where a service of the config has `logs:`. */

/** A part is one upload: this many bytes of a log at most, and as many as go out in this time at full bandwidth, ms. */
const PART_BYTES = 4 * 1024 ** 2;
const PART_MS = 8000;
const SMALLEST_PART = 64 * 1024;
const PART_COUNTS_AS = 64 * 1024;

export interface WiredLogs extends LogShipper {
  service: string;
  every: number;
}

/** By service. `isBusy`: whether a deployment runs. */
export async function wireLogs(
  config: AgentConfig,
  {
    aws,
    clock,
    log,
    userId,
    isBusy,
  }: {
    aws: Aws;
    clock: Clock;
    log: Log;
    userId: (signal: AbortSignal) => Promise<string>;
    isBusy: () => boolean;
  },
): Promise<Map<string, WiredLogs>> {
  const bytesPerSecond = config.logBandwidth;
  const gate = createGate({ bytesPerSecond, clock, isBusy });
  const partBytes = Math.max(SMALLEST_PART, Math.min(PART_BYTES, (bytesPerSecond * PART_MS) / 1000));
  const wired = new Map<string, WiredLogs>();
  for (const [service, { logs, manager }] of Object.entries(config.services)) {
    if (!logs) continue;
    const { every, compress, maxPerDay, bucket = config.bucket } = logs;
    const shared = { compress, partBytes, now: clock.now, log: log.child({ service }) };
    const store = createLogStore({ aws, bucket, env: config.env, service, userId });
    const map = await openDurableMap(join(config.state, 'logs', `${service}.state`), (value) =>
      logEntry.parse(value),
    );
    const uploads = createUploads({ ...shared, map, store, maxPerDay, partCountsAs: PART_COUNTS_AS });
    const files = createFileLogs({ ...shared, places: logs.files, uploads });
    const hasUnit = manager.type === 'systemd' && logs.journal !== false;
    const unit = hasUnit ? createUnitLogs({ ...shared, unit: manager.unit, uploads }) : undefined;
    const shipper = createLogShipper({ ...shared, service, files, unit, uploads, gate, clock });
    wired.set(service, { ...shipper, service, every });
  }
  return wired;
}
