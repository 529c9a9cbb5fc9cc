import * as z from 'zod';

/** The messages of the schema of `trigger-deploy.yaml`: what was expected, and what was found. */

interface WrongValue {
  code?: string | undefined;
  input?: unknown;
}

export const expected =
  (what: string) =>
  ({ input }: WrongValue) =>
    input === undefined || input === null
      ? `expected ${what}, found nothing`
      : `expected ${what}, found ${JSON.stringify(input)}`;

/** The error of a map. Unknown and invalid keys keep the issue of zod: `mistakesOf` turns each key into a mistake. */
export const expectedMap = (what: string) => (issue: WrongValue) =>
  issue.code === 'unrecognized_keys' || issue.code === 'invalid_key' ? undefined : expected(what)(issue);

export const text = (what: string, pattern = /\S/) =>
  z.string({ error: expected(what) }).regex(pattern, { error: expected(what) });
export const oneOf = <const T extends readonly [string, ...string[]]>(values: T) =>
  z.enum(values, { error: expected(values.join(' or ')) });
