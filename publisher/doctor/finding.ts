import { isCode } from '../../shared/errors.ts';
import type { Session } from '../session.ts';

/** What `doctor` found out about one thing. */
export interface DoctorFinding {
  /** What was looked at: `bucket-versioning`. It stays the same in later versions; Operations lists them. */
  id: string;
  /** `repaired`: it was wrong, and this command set it right. `unknown`: it cannot be read with these permissions. */
  state: 'ok' | 'wrong' | 'repaired' | 'unknown';
  /** The service that it is about; left out when it is about the environment. */
  service?: string | undefined;
  /** The instance that it is about, if it is about one. */
  instance?: string | undefined;
  what: string;
  /** What to do about it. With `ok`: nothing is broken, but somebody should look. */
  hint?: string | undefined;
}

/**
 * The findings of `probe`. What it throws becomes a finding with `id`, so that the other probes still run: `unknown` where
 * AWS denies it, because the thing itself may be right, and otherwise `wrong`.
 * @throws the reason of the session's signal; SERVICE_NOT_FOUND; errors of this program.
 */
export async function collect(
  { signal }: Pick<Session, 'signal'>,
  id: string,
  probe: () => Promise<DoctorFinding[]>,
): Promise<DoctorFinding[]> {
  try {
    return await probe();
  } catch (error) {
    signal.throwIfAborted();
    if (!isCode(error) || error.code === 'SERVICE_NOT_FOUND') throw error;
    const state = error.code === 'AWS_DENIED' ? 'unknown' : 'wrong';
    return [{ id, state, what: error.message, hint: error.hint }];
  }
}

/** How many of a kind are named. */
const NAMED = 20;

/**
 * One finding for each of these instances, of 20 at most; the others are counted in one more, so that the answer about a
 * fleet can be read.
 */
export function named(
  id: string,
  instances: readonly string[],
  one: (instance: string) => Pick<DoctorFinding, 'what' | 'hint'>,
  others: (count: number) => Pick<DoctorFinding, 'what' | 'hint'>,
): DoctorFinding[] {
  const more = instances.length > NAMED + 1 ? instances.length - NAMED : 0;
  const shown = more > 0 ? instances.slice(0, NAMED) : instances;
  const about = { id, state: 'wrong' as const };
  const findings = shown.map((instance): DoctorFinding => ({ ...about, instance, ...one(instance) }));
  return more > 0 ? [...findings, { ...about, ...others(more) }] : findings;
}
