import type { Clock } from '../../shared/clock.ts';
import { isCode } from '../../shared/errors.ts';
import { keys } from '../../shared/names.ts';
import { STALE_MS } from '../record/lock.ts';
import { nonce, type Objects } from '../record/objects.ts';
import { deadIn, dropDead, type Line, lineDocument, type Sightings, sighted } from './queue.ts';

/** The line of a service in the record: `line.json`, changed by conditional writes only, never deleted. */

/** What a look finds. */
export interface Sight {
  line: Line;
  /** Whether nobody in it gave a sign of life for `STALE_MS` by S3's clock: all of them may be dead. */
  silent: boolean;
}

export interface WaitingLine {
  look(): Promise<Sight>;
  /** Changes it by what `change` makes of it, without those found dead; returns it as it stands. */
  change(change: (line: Line) => Line): Promise<Line>;
  /** Those that this publisher has seen without a sign of life for `STALE_MS`. */
  dead(): ReadonlySet<string>;
}

interface LineContext {
  env: string;
  objects: Objects;
  clock: Clock;
  warn: (text: string) => void;
}

/** Of writers that meet, one succeeds at each turn. */
const ATTEMPTS = 20;

export function openLine(
  { env, objects, clock, warn }: LineContext,
  service: string,
  self: string,
): WaitingLine {
  const key = keys.queue(env, service);
  let sightings: Sightings = new Map();
  const dead = () => deadIn(sightings, { now: clock.monotonic(), staleMs: STALE_MS, self });

  async function read(): Promise<Sight & { etag: string | undefined }> {
    const stored = await objects.read(key);
    const line = stored === undefined ? [] : parse(stored.text);
    sightings = sighted(sightings, line, clock.monotonic());
    // Both times are S3's: this machine's clock may be an hour off.
    const silent = stored !== undefined && clock.now() - stored.lastModified >= STALE_MS;
    return { line, silent, etag: stored?.etag };
  }

  function parse(text: string): Line {
    try {
      return lineDocument.parse(JSON.parse(text)).waiting;
    } catch {
      warn(`${key} cannot be read: whoever waited there has lost the place`);
      return [];
    }
  }

  return {
    look: async () => await read(),
    dead,
    async change(change) {
      for (let attempt = 1; ; attempt += 1) {
        const { line: before, etag } = await read();
        const line = change(dropDead(before, dead()));
        if (JSON.stringify(line) === JSON.stringify(before)) return line;
        const body = JSON.stringify({ v: 1, nonce: nonce(), waiting: line });
        try {
          await (etag === undefined ? objects.putNew(key, body) : objects.putIf(key, body, etag));
          sightings = sighted(sightings, line, clock.monotonic());
          return line;
        } catch (error) {
          if (!isCode(error, 'CONDITION_FAILED') || attempt === ATTEMPTS) throw error;
        }
      }
    },
  };
}
