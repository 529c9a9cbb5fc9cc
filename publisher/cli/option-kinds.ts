import * as z from 'zod';
import { parseDuration } from '../../shared/duration.ts';
import { envName, instanceId, serviceName, ulid, versionName } from '../../shared/names.ts';
import { parseSize } from '../plan/waves.ts';

/** The kinds of arguments and options: each has its help text, and a schema that checks what a person types. */

export interface Option<S extends z.ZodType = z.ZodType> {
  /** A `value` takes one word. A `list` takes one word and may be repeated. A `flag` takes no word. */
  kind: 'argument' | 'value' | 'list' | 'flag';
  help: string;
  schema: S;
  alias?: string;
  /** Whether the option makes sense at a terminal only: the page of the console may not use it. */
  atTerminal?: true;
  /** What shell completion offers. */
  completes?: readonly string[] | 'file' | 'directory';
}
export type Options = Readonly<Record<string, Option>>;
/** The checked values of `O`, by option. */
export type ValuesOf<O extends Options> = z.infer<z.ZodObject<{ [K in keyof O]: O[K]['schema'] }>>;

type More = Pick<Option, 'alias' | 'completes' | 'atTerminal'>;
export const argument = <S extends z.ZodType>(schema: S, help: string, more: More = {}) =>
  ({ kind: 'argument', schema, help, ...more }) as const;
export const value = <S extends z.ZodType>(schema: S, help: string, more: More = {}) =>
  ({ kind: 'value', schema, help, ...more }) as const;
export const list = <S extends z.ZodType>(schema: S, help: string, more: More = {}) =>
  ({ kind: 'list', schema, help, ...more }) as const;
export const flag = (help: string, more: Pick<Option, 'atTerminal'> = {}) =>
  ({ kind: 'flag', schema: z.boolean({ error: once }).default(false), help, ...more }) as const;
/** One of `words`. */
export const choice = <const T extends readonly [string, ...string[]]>(
  words: T,
  help: string,
  more: Pick<Option, 'atTerminal'> = {},
) => {
  const expected = `expected ${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
  const error = (issue: { input?: unknown }) => (Array.isArray(issue.input) ? once(issue) : expected);
  return value(z.enum(words, { error }).optional(), help, { completes: words, ...more });
};

/** The option as a person types it: `--no-wait` for the key `noWait`. */
export const optionName = (key: string) =>
  `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
/** All forms of an option as a person types them: `--reason`, and its alias if it has one. */
export const optionForms = (key: string, { alias }: Pick<Option, 'alias'>): string[] => [
  optionName(key),
  ...(alias === undefined ? [] : [`-${alias}`]),
];

/**
 * The error text for an option that is missing, has no value, or is given twice. yargs makes a list of two values, and
 * the program does not guess which one was meant.
 */
function once({ input }: { input?: unknown }): string {
  if (input === undefined) return 'is required';
  return Array.isArray(input) ? 'is given more than once' : 'needs a value';
}

export const text = z.string({ error: once });
const named = (schema: z.ZodType<string>, what: string) =>
  text.superRefine((typed, context) => {
    const issue = schema.safeParse(typed).error?.issues[0];
    if (issue) context.addIssue(`${JSON.stringify(typed)} cannot be ${what}: ${issue.message}`);
  });
export const service = named(serviceName, 'a service');
export const environment = named(envName, 'an environment');
export const version = named(versionName, 'a version');
export const versionOrLatest = named(
  z.union([z.literal('latest'), versionName], { error: wrongVersion }),
  'a version',
);
export const instance = named(instanceId, 'an instance');
export const deployment = text.transform((id) => id.toUpperCase()).pipe(named(ulid, 'a deployment'));

function wrongVersion({ input }: { input?: unknown }): string {
  return versionName.safeParse(input).error?.issues[0]?.message ?? 'wrong';
}

export const count = text
  .regex(/^\d{1,6}$/, { error: 'expected a whole number, 0 or more' })
  .transform(Number);
export const positiveCount = text
  .regex(/^[1-9]\d{0,5}$/, { error: 'expected a whole number, 1 or more' })
  .transform(Number);

/** The sequence of a desired state; 0: there is none. */
export const sequence = text
  .regex(/^(0|[1-9]\d{0,14})$/, { error: 'expected the sequence of a desired state, or 0' })
  .transform(Number);

export const countUpTo = (most: number) =>
  positiveCount.refine((number) => number <= most, { error: `expected a whole number, 1 to ${most}` });

/** A duration in ms, more than 0. */
export const duration = text.transform((typed, context) => {
  const ms = parseDuration(typed);
  if (ms === undefined || ms === 0) context.addIssue('expected a duration such as 30s, 10m or 1h');
  return ms ?? 0;
});
/** A time in the past: how long ago, or when, in ms. A date or a time without a zone is in UTC. */
export type Since = { ago: number } | { at: number };

const DAY_MS = 86_400_000;
const DATE = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d)?)?$/;

/** `7d`, `1w`, `12h`, `2026-11-01`, `2026-11-01T08:30`, `2026-11-01T08:30:00+01:00`. */
export const since = text.transform((typed, context): Since => {
  const [, count, unit] = /^([1-9]\d{0,4})([dw])$/.exec(typed) ?? [];
  const ago = count === undefined ? parseDuration(typed) : Number(count) * DAY_MS * (unit === 'w' ? 7 : 1);
  if (ago) return { ago };
  const at = DATE.test(typed) ? dateMs(typed) : Number.NaN;
  if (Number.isNaN(at)) {
    context.addIssue(
      'expected a duration such as 7d, 1w or 12h, or a date such as 2026-11-01 or 2026-11-01T08:30Z',
    );
  }
  return { at };
});

/** A time of which something is asked: as `since`, or a time of the day, the last one that is past, in UTC. */
export type Moment = Since | { ofDay: number }; // ms since midnight

/** `14:02`, `14:02:30`, `2h`, `2026-11-01T14:02`. */
export const moment = text.transform((typed, context): Moment => {
  const [, hours, minutes, seconds = '0'] = /^([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?$/.exec(typed) ?? [];
  if (hours !== undefined) {
    return { ofDay: ((Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1000 };
  }
  const parsed = since.safeParse(typed);
  if (!parsed.success) {
    context.addIssue('expected a time such as 14:02, 2h or 2026-11-01T14:02, in UTC');
    return { ago: 0 };
  }
  return parsed.data;
});

/** NaN for a day that does not exist: JavaScript takes February 30 for March 2. */
function dateMs(typed: string): number {
  const day = typed.slice(0, 10);
  const start = Date.parse(`${day}T00:00:00Z`);
  if (Number.isNaN(start) || new Date(start).toISOString().slice(0, 10) !== day) return Number.NaN;
  return Date.parse(typed.length === 10 || /(Z|[+-]\d\d:\d\d)$/.test(typed) ? typed : `${typed}Z`);
}

const SIZE = 'expected a number of instances or a percentage such as 25%';
/** A number of instances, or a percentage of them. */
export const size = text.transform(readSize);
export const sizeOrZero = text.transform((typed, context) =>
  typed === '0' ? (0 as const) : readSize(typed, context),
);

function readSize(typed: string, context: z.RefinementCtx) {
  const parsed = parseSize(typed);
  if (parsed === undefined) context.addIssue(SIZE);
  return parsed ?? { count: 1 };
}

/** An empty value is refused: it usually is an empty variable of a shell. */
const tag = text
  .regex(/^[^=]{1,128}=.{0,256}$/, { error: 'expected KEY=VALUE' })
  .regex(/=./, { error: 'expected KEY=VALUE, found no value' })
  .transform((typed) => typed.split(/=(.*)/s, 2) as [key: string, value: string]);
/** Several KEY=VALUE as one object. A key given twice is refused: it would match no instance, or only one value. */
export const tags = z
  .array(tag)
  .min(1)
  .superRefine((all, context) => {
    const twice = all.find(([key], i) => all.findIndex((other) => other[0] === key) !== i)?.[0];
    if (twice === undefined) return;
    context.addIssue(`names the tag ${twice} twice: an instance has one value of each tag`);
  })
  .transform((all) => Object.fromEntries(all));

const MOST = 1024;
export const reason = text.max(MOST, { error: 'has 1,024 characters at most' });
/** A required reason; `missing` is the error message without one. */
export const requiredReason = (missing: string) =>
  z
    .string({ error: (issue) => (issue.input === undefined ? missing : once(issue)) })
    .refine((typed) => typed.trim() !== '', { error: 'is empty' })
    .max(MOST, { error: 'has 1,024 characters at most' });
