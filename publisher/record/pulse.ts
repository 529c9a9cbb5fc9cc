import * as z from 'zod';
import { isCode } from '../../shared/errors.ts';
import { envName, instanceId, keys, serviceName, ulid, versionName } from '../../shared/names.ts';
import { report } from '../../shared/report.ts';
import { ENDINGS, PROGRESS_STATES } from '../../shared/states.ts';
import { forgotten } from './deployment-schema.ts';
import type { Objects } from './objects.ts';

/**
 * `deployments/ID/pulse.json`: what the publisher that drives a deployment has heard on its reply queue. The record has
 * only the first and the last report of an instance; a console that does not drive shows the states between from here.
 * It is not signed, and whoever may write to the bucket can write anything: it is shown, and decides nothing.
 */

/** How many instances it names: those that have not ended. All are in the counts. */
export const MOST_IN_PULSE = 1000;
/** How long the note of an instance is at most, characters. */
export const PULSE_NOTE = 100;

/** Only one of so many calls reads again what was not valid. */
const AFTER_INVALID = 10;

const beat = z.object({
  instance: instanceId,
  n: report.shape.n,
  at: report.shape.at,
  state: z.enum(PROGRESS_STATES),
  step: report.shape.step,
  note: report.shape.note,
  zone: report.shape.zone,
  version: versionName,
});
export type Beat = z.infer<typeof beat>;

export const pulse = z.object({
  v: z.literal(1),
  nonce: z.string().max(64),
  env: envName,
  service: serviceName,
  deployment: ulid,
  at: z.iso.datetime(),
  /** The host of the publisher that drives. */
  via: report.shape.zone,
  /** How many instances are in each state. */
  counts: z.partialRecord(z.enum([...PROGRESS_STATES, ...ENDINGS]), z.int().min(0).max(1_000_000)),
  /** How many instances the deployment is for. */
  of: z.int().min(0).max(1_000_000),
  wave: z.object({ now: z.int().min(0).max(100_000), of: z.int().min(0).max(100_000) }).optional(),
  /** Those that have not ended. */
  instances: z.array(beat).max(MOST_IN_PULSE),
  forgotten: z.array(z.object(forgotten.shape)).max(MOST_IN_PULSE).optional(),
});
export type Pulse = z.infer<typeof pulse>;

/** A function that reads the pulse of a deployment: undefined when there is none; `unchanged` since the last call. */
export type PulseReader = () => Promise<Pulse | 'unchanged' | undefined>;

/** One that is not valid, or of another deployment, counts as none. @throws AWS_*. */
export function pulseReader(
  { env, objects }: { env: string; objects: Objects },
  service: string,
  deployment: string,
): PulseReader {
  const key = keys.pulse(env, service, deployment);
  let etag: string | undefined;
  /** How many calls are not made any more after one that was not valid: it may be large. */
  let left = 0;
  return async () => {
    left -= 1;
    if (left > 0) return 'unchanged';
    try {
      const found = await objects.readJsonUnless(key, pulse, etag);
      if (found === 'unchanged') return found;
      etag = found?.etag;
      const { value } = found ?? {};
      const isOwn = value?.env === env && value.service === service && value.deployment === deployment;
      return isOwn ? value : undefined;
    } catch (error) {
      if (!isCode(error, 'DOCUMENT_INVALID')) throw error;
      left = AFTER_INVALID;
      return undefined;
    }
  };
}
