import type * as z from 'zod';
import type { Check, Expected } from '../../../deploy/ports.ts';
import type { RunCommand } from '../../process/run-command.ts';

/**
 * A type of health check: its keys in the config, its name in messages, and one try of it. A new type is a file like
 * those beside this one, and a line in ../check-types.ts.
 */
export interface CheckType<Fields extends z.ZodRawShape> {
  /** Its keys in agent.yaml, besides `successes`, `deadline` and `timeout`, which every check has. */
  readonly fields: Fields;
  /** What the check does, for an error message: `GET http://127.0.0.1:8080/health`. */
  describe(check: Check & z.output<z.ZodObject<Fields>>): string;
  /**
   * One try. An unhealthy service is an answer; what is thrown counts as one, too, except when `signal` aborted.
   * `run` runs a command.
   */
  probe(
    check: Check & z.output<z.ZodObject<Fields>>,
    expected: Expected,
    tools: { signal: AbortSignal; run: RunCommand },
  ): Promise<Answer>;
}

export interface Answer {
  ok: boolean;
  /** What was found, for a person, beginning with the type. */
  note: string;
}

/** Infers the types of the fields. */
export function checkType<Fields extends z.ZodRawShape>(type: CheckType<Fields>): CheckType<Fields> {
  return type;
}

/** Replaces `{version}` and `{service}`. */
export function substitute(
  text: string,
  { service, version }: Pick<Expected, 'service' | 'version'>,
): string {
  return text.replaceAll('{version}', () => version).replaceAll('{service}', () => service);
}

/** The bounds of a command that a check runs; the signal ends it before this timeout does. ms */
export const commandBounds = ({ timeout }: Pick<Check, 'timeout'>) => ({
  timeout: 2 * timeout + 1000,
  killAfter: 1000,
});
