import type { Person } from '../../record/origin.ts';

/** What a request that changes something was, and what became of it. */
export interface Audited {
  /** ms since the epoch. */
  at: number;
  /** Undefined when nothing proved who sent it. */
  person: Person | undefined;
  /** The path of the request. */
  path: string;
  argv?: readonly string[] | undefined;
  env?: string | undefined;
  run?: string | undefined;
  deployment?: string | undefined;
  status: number;
  /** The code of the error that was answered. */
  code?: string | undefined;
}

const MOST_WORDS = 200;
const LONGEST_WORD = 2000;

/**
 * The line of the log for such a request: one JSON object, without control characters and of a bounded length. No header,
 * no token and no key of a session is in it. Pure.
 */
export function auditLine({ at, person, argv, ...rest }: Audited): string {
  const line = {
    type: 'audit',
    time: new Date(at).toISOString(),
    person: person?.name,
    verified: person?.verified,
    via: person?.via,
    ...(person?.isMachine === true && { isMachine: true }),
    argv: argv?.slice(0, MOST_WORDS).map((word) => word.slice(0, LONGEST_WORD)),
    ...rest,
  };
  return JSON.stringify(line).replace(
    /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
