import { z } from 'zod';
import { nearest, parseDuration } from '../../shared/config-file.ts';
import { TriggerDeployError } from '../../shared/errors.ts';
import { envName, instanceId, serviceName, ulid, VERBS, versionName } from '../../shared/names.ts';
import { parseSize } from '../plan/waves.ts';
import { buildParser, misused, type Verb } from './options.ts';

/** The command line as a checked value. Nothing here asks the network or the file system. */

const name = (schema: z.ZodType<string>, what: string) =>
  z.string({ error: once }).superRefine((value, context) => {
    const issue = schema.safeParse(value).error?.issues[0];
    if (issue) context.addIssue(`${JSON.stringify(value)} cannot be ${what}: ${issue.message}`);
  });
const text = z.string({ error: once });
const count = text.regex(/^\d{1,6}$/, { error: 'expected a whole number, 0 or more' }).transform(Number);
const duration = text.transform((value, context) => {
  const ms = parseDuration(value);
  if (ms === undefined || ms === 0) context.addIssue('expected a duration such as 30s, 10m or 1h');
  return ms ?? 0;
});

const age = text.transform((value, context) => {
  const days = /^([1-9]\d{0,4})d$/.exec(value)?.[1];
  const ms = days === undefined ? parseDuration(value) : Number(days) * 86_400_000;
  if (!ms) context.addIssue('expected how long ago, such as 7d or 12h');
  return ms ?? 0;
});

/** yargs makes a list of what is given twice: which one was meant is not for us to guess. */
function once({ input }: { input?: unknown }): string {
  return Array.isArray(input) ? 'is given more than once' : 'needs a value';
}

const common = {
  env: name(envName, 'an environment').optional(),
  output: z.enum(['table', 'lines', 'json'], { error: 'expected table, lines or json' }).optional(),
  verbose: z.boolean({ error: once }).default(false),
  configFile: text.optional(),
};
const service = name(serviceName, 'a service');
const version = name(versionName, 'a version');
const orLatest = name(z.union([z.literal('latest'), versionName], { error: wrongVersion }), 'a version');
const deployment = text.transform((id) => id.toUpperCase()).pipe(name(ulid, 'a deployment'));
const reason = text.max(1024, { error: 'has 1,024 characters at most' }).optional();
const giveReason = z
  .string({
    error: ({ input }) =>
      input === undefined ? 'is missing: whoever is stopped will ask why' : once({ input }),
  })
  .min(1, { error: 'says nothing' })
  .max(1024, { error: 'has 1,024 characters at most' });
const following = {
  noWait: z.boolean({ error: once }).default(false),
  timeout: duration.optional(),
  reason,
  allowMissing: count.optional(),
  queue: z.boolean({ error: once }).optional(),
  jump: z.boolean({ error: once }).optional(),
};

const size = (zero: boolean) =>
  text.transform((value, context) => {
    if (zero && value === '0') return 0 as const;
    const parsed = parseSize(value);
    if (parsed === undefined) context.addIssue('expected a number of instances or a share such as 25%');
    return parsed ?? { count: 1 };
  });
const share = size(false).transform((parsed) => (parsed === 0 ? { count: 1 } : parsed));
const tag = text.regex(/^[^=]{1,128}=.{0,256}$/, { error: 'expected KEY=VALUE' });
const staged = {
  strategy: z.enum(['all', 'rolling'], { error: 'expected all or rolling' }).optional(),
  canary: share.optional(),
  batch: share.optional(),
  confirm: z.boolean({ error: once }).default(false),
  autoConfirm: duration.optional(),
  pauseBetween: duration.optional(),
  maxFailures: size(true).optional(),
  onFailure: z.enum(['rollback', 'stop'], { error: 'expected rollback or stop' }).optional(),
  only: z.array(name(instanceId, 'an instance')).min(1).max(5000).optional(),
  where: z
    .array(tag)
    .min(1)
    .transform((tags) => Object.fromEntries(tags.map((one) => one.split(/=(.*)/s, 2) as [string, string])))
    .optional(),
};

function wrongVersion({ input }: { input?: unknown }): string {
  return versionName.safeParse(input).error?.issues[0]?.message ?? 'wrong';
}

const schemas = {
  deploy: z.object({
    ...common,
    ...following,
    ...staged,
    service,
    version: orLatest,
  }),
  restart: z.object({ ...common, ...following, ...staged, service }),
  plan: z.object({ ...common, ...staged, service, version: orLatest }),
  confirm: z.object({ ...common, deployment, reason }),
  resume: z.object({ ...common, deployment, timeout: duration.optional(), allowMissing: count.optional() }),
  cancel: z.object({ ...common, deployment, reason }),
  push: z.object({
    ...common,
    ...following,
    ...staged,
    deploy: name(envName, 'an environment').optional(),
    service,
    version,
    file: z.array(text).min(1),
    config: z.array(text).default([]),
  }),
  promote: z.object({
    ...common,
    ...following,
    ...staged,
    service,
    from: name(envName, 'an environment'),
    to: name(envName, 'an environment'),
    version: version.optional(),
    config: z.array(text).default([]),
  }),
  rollback: z.object({
    ...common,
    ...following,
    service,
    to: version.optional(),
    despitePause: z.boolean({ error: once }).optional(),
  }),
  pause: z.object({ ...common, service: service.optional(), reason: giveReason }),
  unpause: z.object({ ...common, service: service.optional(), reason }),
  status: z.object({
    ...common,
    service: service.optional(),
    all: z.boolean({ error: once }).default(false),
  }),
  history: z.object({
    ...common,
    service,
    limit: text
      .regex(/^[1-9]\d{0,5}$/, { error: 'expected a whole number, 1 or more' })
      .transform(Number)
      .default(20),
    failed: z.boolean({ error: once }).default(false),
    since: age.optional(),
  }),
  show: z.object({ ...common, deployment, instance: name(instanceId, 'an instance').optional() }),
  watch: z.object({ ...common, deployment, timeout: duration.optional() }),
  keygen: z.object({ ...common, out: text.default('.'), name: text.default('ci') }),
} as const satisfies Record<Verb, z.ZodType>;
export type Invocation = { [V in Verb]: { verb: V } & z.infer<(typeof schemas)[V]> }[Verb];
export type InvocationOf<V extends Verb> = Extract<Invocation, { verb: V }>;

/** @throws USAGE. A request for help or the version is answered with the text to print. */
export async function parseCommandLine(
  argv: readonly string[],
  { version: programVersion, columns }: { version: string; columns: number },
): Promise<Invocation | { verb: 'print'; text: string }> {
  const options = argv.includes('--') ? argv.slice(0, argv.indexOf('--')) : argv;
  // Of a promotion it is an option.
  if (argv[0] !== 'promote' && options.includes('--version')) return { verb: 'print', text: programVersion };
  refuseUnknownVerb(argv);
  let chosen: Verb = 'deploy';
  let help = '';
  const parser = buildParser(argv, columns, (verb) => {
    chosen = verb;
  });
  const parsed = await parser.parseAsync([...argv], {}, (_error, _args, output) => {
    help = output;
  });
  if (help !== '') return { verb: 'print', text: help };
  // What yargs could not place, among it all that follows a `--`.
  const stray = parsed._.slice(chosen === 'deploy' ? 0 : 1);
  if (stray.length > 0) throw misused(chosen, `too many arguments: ${stray.join(' ')}`);
  const checked = schemas[chosen].safeParse(parsed);
  if (checked.success) {
    refuseWithoutReason(chosen, checked.data);
    const invocation = { verb: chosen, ...checked.data } as Invocation;
    refuseContradiction(invocation);
    return invocation;
  }
  const issue = checked.error.issues[0];
  throw misused(chosen, issue ? issueText(issue) : 'wrong arguments');
}

/** What goes past others, or past a pause, says why. */
function refuseWithoutReason(
  verb: Verb,
  options: { jump?: boolean | undefined; despitePause?: boolean | undefined; reason?: string | undefined },
): void {
  const unusual = options.jump ? '--jump' : options.despitePause ? '--despite-pause' : undefined;
  if (unusual === undefined || options.reason?.trim()) return;
  throw misused(verb, `${unusual} needs a --reason: it is recorded, and shown to those it concerns`);
}

/** The environment that a command line names, if it does. */
export function environmentOf(invocation: Invocation): string | undefined {
  if (invocation.verb === 'promote') return invocation.to;
  return invocation.verb === 'push' ? (invocation.deploy ?? invocation.env) : invocation.env;
}

function refuseContradiction(invocation: Invocation): void {
  const { verb, env } = invocation;
  const named = environmentOf(invocation);
  if (env !== undefined && named !== env) {
    const option = verb === 'promote' ? '--to' : '--deploy';
    throw misused(verb, `${option} ${named} and --env ${env}: which environment?`);
  }
  if (verb === 'status' && invocation.all && env !== undefined) {
    throw misused(verb, `--all and --env ${env}: one of them, or all?`);
  }
  if (verb === 'push' && invocation.deploy === undefined) {
    const about = Object.keys({ ...following, ...staged }) as (
      | keyof typeof following
      | keyof typeof staged
    )[];
    const stray = about.find((key) => invocation[key] !== undefined && invocation[key] !== false);
    if (stray !== undefined) {
      throw misused(verb, `${optionText(stray)} is about deploying, and push only does so with --deploy ENV`);
    }
  }
}

function issueText({ path, message }: z.core.$ZodIssue): string {
  const key = String(path[0]);
  if (['service', 'version', 'deployment', 'file'].includes(key)) return message;
  if (message.includes(' cannot be ')) return message;
  return `${optionText(key)} ${message}`;
}

const optionText = (key: string) => `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

function refuseUnknownVerb([first, second]: readonly string[]): void {
  if (first === undefined) throw misused('deploy', 'which service, and which version?');
  if (first.startsWith('-')) return;
  const verbs = Object.keys(schemas);
  if (first !== 'deploy' && verbs.includes(first)) return;
  if (first === 'deploy' || (VERBS as readonly string[]).includes(first)) {
    const hint =
      first === 'deploy'
        ? `deploying has no verb: trigger-deploy SERVICE VERSION --env ENV`
        : `there are: ${verbs.filter((verb) => verb !== 'deploy').join(', ')}; no service can be named ${first}`;
    throw new TriggerDeployError('USAGE', `${first} is no command of this version of trigger-deploy`, {
      hint,
    });
  }
  if (second !== undefined && !second.startsWith('-')) return;
  const meant = nearest(first, verbs);
  throw new TriggerDeployError('USAGE', `which version of ${first}?`, {
    hint: `trigger-deploy ${first} VERSION --env ENV${meant ? `; or did you mean trigger-deploy ${meant}?` : ''}`,
  });
}
