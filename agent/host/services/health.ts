import { formatMs } from '../../../shared/duration.ts';
import { messageOf } from '../../../shared/errors.ts';
import { deadline } from '../../../shared/retry.ts';
import type { Check, Expected, HealthProbe } from '../../deploy/ports.ts';
import { systemCode } from '../fs/durable-files.ts';
import { type RunCommand, runCommand } from '../process/run-command.ts';
import { CHECK_TYPES, type ConfiguredCheck } from './check-types.ts';
import type { Answer } from './checks/check-type.ts';

/** Tries one health check once. A problem of the service becomes a note, never an exception. */

const NOTE_LIMIT = 160;

interface AnyCheckType {
  describe(check: Check): string;
  probe(check: Check, expected: Expected, tools: { signal: AbortSignal; run: RunCommand }): Promise<Answer>;
}

/** The cast in `typeOf` is safe: config.ts makes checks of these kinds only, each with the fields of its type. */
const TYPES: Readonly<Record<ConfiguredCheck['kind'], AnyCheckType>> = CHECK_TYPES;

function typeOf({ kind }: Check): AnyCheckType {
  return TYPES[kind as ConfiguredCheck['kind']];
}

/** `run` runs the command of a `command` check. */
export function createHealthProbe(run: RunCommand = runCommand): HealthProbe {
  return {
    describe: (check) => typeOf(check).describe(check),

    async probe(check, expected, signal) {
      signal.throwIfAborted();
      const within = deadline(check.timeout, signal, `the ${check.kind} check`);
      try {
        return await typeOf(check).probe(check, expected, { signal: within.signal, run });
      } catch (error) {
        signal.throwIfAborted();
        const note = within.expired() ? timedOut(check) : `${check.kind} ${reasonOf(error)}`;
        return { ok: false, note: note.slice(0, NOTE_LIMIT) };
      } finally {
        within[Symbol.dispose]();
      }
    },
  };
}

function timedOut({ kind, timeout }: Check): string {
  return `${kind} no answer within ${formatMs(timeout).replace('.0 s', ' s')}`;
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'refused',
  ECONNRESET: 'connection reset',
  EPIPE: 'connection reset',
  ENOTFOUND: 'host not found',
  EAI_AGAIN: 'host not found',
  EHOSTUNREACH: 'host unreachable',
  ENETUNREACH: 'network unreachable',
};

/** The reason, for people. For `localhost` Node tries IPv6 and IPv4: if both fail, the first error is shown. */
function reasonOf(error: unknown): string {
  const first: unknown = error instanceof AggregateError ? error.errors[0] : error;
  const code = systemCode(first);
  return (code && REASONS[code]) || messageOf(first) || code || 'failed';
}
