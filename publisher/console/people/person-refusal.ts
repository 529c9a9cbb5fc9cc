import type { Refusal } from '../ports.ts';

/** Why nobody is known behind a request; and the one value of a header. Pure. */

export const notIdentified = (why: string): Refusal => ({
  status: 401,
  error: {
    code: 'NOT_IDENTIFIED',
    message: `the request does not prove who sends it: ${why}`,
    hint: 'open the page again to log in; if that does not help, the proxy and console.trust do not agree',
  },
});

/** Nobody is let in while nobody can be verified. */
export const cannotVerify = (why: string): Refusal => ({
  status: 503,
  error: {
    code: 'CANNOT_VERIFY',
    message: `nobody can be verified now: ${why}`,
    hint: 'the console must reach the address of the public keys; the command line works without it',
  },
});

/** Node takes 16 KiB of headers together. */
const LONGEST_VALUE = 12 * 1024;

/**
 * The value of a header that stands there once. Two of them, or two joined by a comma, are refused: a proxy that adds its
 * header to that of the request would let everybody choose the first.
 */
export function onlyValue(
  headers: NodeJS.Dict<string[]>,
  name: string,
): { value: string } | { refusal: Refusal } {
  const values = headers[name] ?? [];
  const [value] = values;
  if (value === undefined || value === '') return { refusal: notIdentified(`no header ${name}`) };
  if (values.length > 1 || value.includes(',')) return { refusal: notIdentified(`several ${name}`) };
  if (value.length > LONGEST_VALUE) return { refusal: notIdentified(`${name} is too long`) };
  return { value };
}
