import * as z from 'zod';
import { envName, instanceId, serviceName, ulid } from '../../../shared/names.ts';
import { type Answer, refused } from './answer.ts';

/** The questions of the page, checked. Pure. */

const HOUR_MS = 3_600_000;
const UNITS = { h: HOUR_MS, d: 24 * HOUR_MS, w: 7 * 24 * HOUR_MS } as const;
const MOST_DEPLOYMENTS = 200;

/** How long ago, such as 12h, 7d or 1w, in ms. */
const ago = z
  .string()
  .regex(/^[1-9]\d{0,4}[hdw]$/)
  .transform((text) => Number(text.slice(0, -1)) * UNITS[text.slice(-1) as keyof typeof UNITS]);
/** ms since the epoch. */
const time = z
  .string()
  .regex(/^\d{1,15}$/)
  .transform(Number);
const limit = z
  .string()
  .regex(/^[1-9]\d{0,2}$/)
  .transform((text) => Math.min(Number(text), MOST_DEPLOYMENTS))
  .default(50);

export const QUESTIONS = {
  nothing: z.strictObject({}),
  live: z.union([
    z.strictObject({ about: z.literal('overview') }),
    z.strictObject({ about: z.literal('service'), service: serviceName }),
    z.strictObject({
      about: z.literal('deployment'),
      env: envName,
      service: serviceName,
      deployment: ulid,
    }),
  ]),
  history: z.strictObject({
    env: envName.optional(),
    service: serviceName.optional(),
    since: ago.optional(),
    only: z.literal('failed').optional(),
    before: ulid.optional(),
    limit,
  }),
  standing: z.strictObject({ at: time, service: serviceName.optional() }),
  find: z.strictObject({ deployment: ulid }),
  report: z.strictObject({ env: envName, service: serviceName, deployment: ulid, instance: instanceId }),
} as const;

const runId = z.string().regex(/^[A-Za-z0-9_-]{8,64}$/);

export const BODIES = {
  nothing: z.strictObject({}),
  session: z.strictObject({ key: z.string().max(100) }),
  run: z.strictObject({
    argv: z.array(z.string().max(4096)).min(1).max(100),
    run: runId,
    confirmsEmpty: z.boolean().optional(),
  }),
  leave: z.strictObject({ run: runId, by: z.string().max(320) }),
  rollCall: z.strictObject({ env: envName }),
} as const;

/** The values of a query; each name once. */
export function checkQuery<S extends z.ZodType>(
  schema: S,
  query: URLSearchParams,
): { value: z.output<S> } | { refusal: Answer } {
  const entries = [...query];
  const twice = entries.find(([name], at) => entries.findIndex(([other]) => other === name) < at)?.[0];
  if (twice !== undefined) return { refusal: wrong(twice, 'is given twice') };
  return check(schema, Object.fromEntries(entries));
}

export function check<S extends z.ZodType>(
  schema: S,
  typed: unknown,
): { value: z.output<S> } | { refusal: Answer } {
  const checked = schema.safeParse(typed);
  if (checked.success) return { value: checked.data };
  const [issue] = checked.error.issues;
  return { refusal: wrong(String(issue?.path[0] ?? 'the request'), 'is wrong') };
}

const wrong = (name: string, what: string) =>
  refused(400, 'USAGE', `${/^[a-zA-Z]{1,20}$/.test(name) ? name : 'the request'} ${what}`);
