import { orAborted } from '../../shared/abort.ts';
import type { RollCallView } from './api.ts';

/** The fleet of an environment is asked at most this often, ms. */
const EVERY_MS = 5000;

/**
 * Shares roll calls: one at a time in each environment, and one in 5 s. Who asks meanwhile gets the same answer, or the
 * same error. The roll call goes on when the person who asked first does not wait any more.
 */
export function createRollCalls<Who>(
  ask: (env: string, who: Who) => Promise<RollCallView>,
  monotonic: () => number,
): (env: string, who: Who, signal: AbortSignal) => Promise<RollCallView> {
  const last = new Map<string, { answer: Promise<RollCallView>; endedAt: number }>();
  return async (env, who, signal) => {
    let call = last.get(env);
    if (call === undefined || monotonic() - call.endedAt >= EVERY_MS) {
      const begun = { answer: ask(env, who), endedAt: Number.POSITIVE_INFINITY };
      const end = () => {
        begun.endedAt = monotonic();
      };
      begun.answer.then(end, end);
      call = begun;
      last.set(env, call);
    }
    return await orAborted(call.answer, signal);
  };
}
