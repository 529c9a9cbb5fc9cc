import type { Person } from '../../record/origin.ts';
import type { Grant } from '../permissions.ts';
import type { Services } from '../services.ts';
import { type Answer, refused } from './answer.ts';

/** What a route is, and the answers that several routes give. */

/** What a route knows when it answers. */
export interface Known {
  query: URLSearchParams;
  body: unknown;
  /** Every value of each header. */
  headersDistinct: NodeJS.Dict<string[]>;
  /** Undefined where nobody needs to be known. */
  person: Person | undefined;
  /** When what proves the person expires, ms since the epoch. */
  until: number | undefined;
  grants: readonly Grant[];
  signal: AbortSignal;
}

export interface Route {
  /** A GET answers a HEAD, too. */
  method: 'GET' | 'POST';
  /** Whether the person must be known. */
  needsPerson: boolean;
  answer(known: Known): Promise<Answer>;
}

/** The answer for an error: 400 for exit code 2, 409 for a refusal, 500 for the rest. */
export async function failure({ view }: Pick<Services, 'view'>, thrown: unknown): Promise<Answer> {
  const { error, exitCode } = await view(thrown);
  return { status: exitCode === 2 ? 400 : exitCode === 4 ? 409 : 500, json: { error } };
}

export const nameOf = (person: Person | undefined) => person?.name ?? '';
export const mayNotLook = () => refused(403, 'NOT_ALLOWED', 'you may not look at that');
export const noEnvironment = (env: string) =>
  refused(400, 'USAGE', `this console does not have the environment ${env}`);
export const noKey = (env: string) =>
  refused(403, 'NO_KEY', `this console cannot sign anything for ${env}`, {
    hint: 'use a console that has the key, without --read-only',
  });
