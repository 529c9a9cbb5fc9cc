import type * as z from 'zod';
import type { Check, Expected } from '../../../deploy/ports.ts';
import type { RunCommand } from '../../process/run-command.ts';

/**
 * A type of health check: its keys in the config, its name in messages, and how to try it once. To add a type, add a
 * file to this directory and a line to ../check-types.ts.
 */
export interface CheckType<Fields extends z.ZodRawShape> {
  /** The type's own keys in agent.yaml. Every check also has `successes`, `deadline` and `timeout`. */
  readonly fields: Fields;
  /** What the check does, for an error message: `GET http://127.0.0.1:8080/health`. */
  describe(check: Check & z.output<z.ZodObject<Fields>>): string;
  /**
   * Tries the check once. An unhealthy service is an answer. An error that it throws counts as unhealthy, too. `signal`
   * aborts at the check's timeout, or when the caller stops waiting. `run` runs a command.
   */
  probe(
    check: Check & z.output<z.ZodObject<Fields>>,
    expected: Expected,
    tools: { signal: AbortSignal; run: RunCommand },
  ): Promise<Answer>;
}

export interface Answer {
  ok: boolean;
  /** What the check found, for people. It begins with the type: `http 503`. */
  note: string;
}

/** Returns `type`; TypeScript infers the types of its fields. */
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

/** Time limits of a command that a check runs, ms. At the check's own timeout, its signal ends the command first. */
export const commandBounds = ({ timeout }: Pick<Check, 'timeout'>) => ({
  timeout: 2 * timeout + 1000,
  killAfter: 1000,
});
