import type { Refusal } from '../ports.ts';
import type { Claims } from './person-claims.ts';

/** The claims of the token in the headers of a request, verified; `until`: when it expires, ms since the epoch. */
export type Verify = (
  headers: NodeJS.Dict<string[]>,
) => Promise<{ claims: Claims; iss: string; until?: number } | { refusal: Refusal }>;
