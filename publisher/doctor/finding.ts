import { isCode, messageOf } from '../../shared/errors.ts';
import type { Session } from '../session.ts';

/** What `doctor` found out about one thing. */
export interface DoctorFinding {
  /** `repaired`: it was wrong, and this command set it right. `unknown`: it cannot be read with these permissions. */
  state: 'ok' | 'wrong' | 'repaired' | 'unknown';
  /** The service that it is about; left out when it is about the environment. */
  service?: string | undefined;
  what: string;
  /** What to do about it. */
  hint?: string | undefined;
}

/**
 * The findings of `probe`. What it throws becomes a finding, so that the other probes still run: `unknown` where AWS
 * denies it, because the thing itself may be right, and otherwise `wrong`.
 * @throws the reason of the session's signal; errors of this program.
 */
export async function collect(
  { signal }: Pick<Session, 'signal'>,
  probe: () => Promise<DoctorFinding[]>,
): Promise<DoctorFinding[]> {
  try {
    return await probe();
  } catch (error) {
    signal.throwIfAborted();
    if (!isCode(error)) throw error;
    const state = isCode(error, 'AWS_DENIED') ? 'unknown' : 'wrong';
    return [{ state, what: messageOf(error), hint: error.hint }];
  }
}

/** How many of a kind are named. */
const NAMED = 20;

/**
 * One finding for each of `names`, of 20 at most; the others are counted in one more, so that the answer about a fleet can be
 * read.
 */
export function named(
  names: readonly string[],
  one: (name: string) => Omit<DoctorFinding, 'state'>,
  others: (count: number) => Omit<DoctorFinding, 'state'>,
): DoctorFinding[] {
  const more = names.length > NAMED + 1 ? names.length - NAMED : 0;
  const shown = more > 0 ? names.slice(0, NAMED) : names;
  const findings = shown.map((name): DoctorFinding => ({ state: 'wrong', ...one(name) }));
  return more > 0 ? [...findings, { state: 'wrong', ...others(more) }] : findings;
}
