import type { Aws } from '../../shared/aws.ts';
import { partitionOf } from '../../shared/aws-names.ts';
import { callerAccount } from '../../shared/caller-identity.ts';
import { TriggerDeployError } from '../../shared/errors.ts';
import { addEnvironment, type Entry, environmentYaml } from '../config/add-environment.ts';
import { entryOf, type SetupPlace } from '../config/load-setup.ts';
import type { ExitCode } from '../events.ts';
import { bucketSettings } from '../setup/bucket-settings.ts';
import { keyFilesIn, keySetting } from '../setup/key-setting.ts';
import { examine, keepRight, type Setting, type Step } from '../setup/setting.ts';
import { topicSettings } from '../setup/topic-settings.ts';
import { isTopicOf, type Wanted, wantedOf } from '../setup/wanted.ts';

export interface InitOptions {
  place: SetupPlace;
  bucketKey?: string | undefined;
  logDays?: number | undefined;
  /** Whether the topic of notifications is made where the config names none. */
  events: boolean;
  /** The signing key to make, and how. */
  keys?: { directory: string; make: () => Promise<unknown> } | undefined;
  /** The config file to write the environment into. */
  configFile?: string | undefined;
  isDryRun: boolean;
  isYes: boolean;
  /** Asks a person; undefined when nobody can be asked. */
  ask: ((signal: AbortSignal) => Promise<boolean>) | undefined;
  signal: AbortSignal;
  /** Called with each step as soon as it is known. */
  tell(step: Step): void;
  /** Called with what will be done, before a person is asked. */
  plan(steps: readonly Step[], question: string): void;
}

export interface InitAnswer {
  type: 'setup';
  env: string;
  account: string;
  region: string;
  counts: Readonly<Partial<Record<Step['state'], number>>>;
  isDryRun: boolean;
  /** What to add to trigger-deploy.yaml, where the environment is not in it. */
  yaml: string | undefined;
  exitCode: ExitCode;
}

/** Settings of one thing. The first is the thing itself: without it, the others cannot be looked at. */
type Group = readonly [Setting, ...Setting[]];

/**
 * `trigger-deploy init`: compares AWS with the environment as it should be, creates what is missing, and changes what differs.
 * It looks first, tells what it will do, and asks. Everything that is right stays as it is, so it may be repeated, killed at
 * any time, and run twice at once.
 * @throws USAGE where nobody can be asked; CANCELLED; CONFIG_INVALID for another account; AWS_*.
 */
export async function init(aws: Aws, options: InitOptions): Promise<InitAnswer> {
  const { place, signal, tell } = options;
  const { account } = await callerAccount(aws, signal);
  refuseOtherAccount(place, account);
  const wanted = wantedOf({
    ...place,
    ...{
      account,
      bucketKey: options.bucketKey,
      logDays: options.logDays,
      events: eventsOf(place, account, options.events),
    },
  });
  const keyFiles = options.keys && keyFilesIn(options.keys.directory, place.env);
  const entry = entryOf(place, account, partitionOf(place.region), keyFiles?.privateFile ?? place.signingKey);
  const groups = groupsOf(aws, wanted, options, entry);
  const found: { group: Group; steps: Step[][] }[] = [];
  for (const group of groups) found.push({ group, steps: await examineGroup(group, signal) });
  const all = found.flatMap(({ steps }) => steps.flat());
  const todo = all.filter(isTodo);
  const done: Step[] = [];
  const say = (step: Step) => {
    done.push(step);
    tell(step);
  };
  if (options.isDryRun || todo.length === 0) {
    for (const step of all) say(step);
  } else {
    await consent(todo, { account, region: place.region }, options);
    for (const { group, steps } of found) await keepGroupRight(group, steps, say, signal);
  }
  return {
    ...{ type: 'setup', env: place.env, account, region: place.region, isDryRun: options.isDryRun },
    counts: countsOf(done),
    yaml:
      place.isConfigured || options.configFile
        ? undefined
        : environmentYaml(place.env, entry, place.file === undefined),
    exitCode: exitCodeOf(done),
  };
}

function groupsOf(aws: Aws, wanted: Wanted, { keys, configFile, place }: InitOptions, entry: Entry): Group[] {
  const [bucket, ...settings] = bucketSettings(aws, wanted);
  if (bucket === undefined) throw new Error('a bucket without settings');
  return [
    ...topicSettings(aws, wanted).map((topic): Group => [topic]),
    [bucket, ...settings],
    ...(keys === undefined ? [] : [[keySetting(keyFilesIn(keys.directory, place.env), keys.make)] as Group]),
    ...(configFile === undefined || place.isConfigured
      ? []
      : [[configSetting(configFile, place.env, entry)] as Group]),
  ];
}

/** The environment in the config file. It is looked at once: `loadForSetup` has read the file. */
function configSetting(file: string, env: string, entry: Entry): Setting {
  let isWritten = false;
  return {
    thing: `config ${file}`,
    reads: '',
    writes: '',
    async look() {
      if (isWritten) return { text: `has the environment ${env}` };
      return {
        text: `has no environment ${env}`,
        wanted: `written, with the environment ${env}`,
        missing: true,
        async mend() {
          await addEnvironment(file, env, entry);
          isWritten = true;
        },
      };
    },
  };
}

/** The topic of notifications that `init` keeps right; one of another account or region is somebody else's. */
function eventsOf(
  { events, region }: SetupPlace,
  account: string,
  isWanted: boolean,
): string | true | undefined {
  if (events === undefined) return isWanted ? true : undefined;
  return isTopicOf(events, region, account) ? events : undefined;
}

function refuseOtherAccount({ account, env, places }: SetupPlace, own: string): void {
  if (account === undefined || account === own) return;
  const text = `these credentials are of the account ${own}, and the topic of ${env} is in ${account}`;
  throw new TriggerDeployError('CONFIG_INVALID', text, {
    hint: `name a role of that account (role:) or a profile, or correct ${places?.topic ?? 'the topic'}`,
  });
}

async function examineGroup([thing, ...settings]: Group, signal: AbortSignal): Promise<Step[][]> {
  const first = await examine(thing, signal);
  const state = first[0]?.state;
  if (state === 'missing' || state === 'failed') return [first];
  const rest: Step[][] = [];
  for (const setting of settings) rest.push(await examine(setting, signal));
  const isClosed = [first, ...rest].every((steps) => steps[0]?.state === 'denied');
  return settings.length > 0 && isClosed ? [[notOurs(thing)]] : [first, ...rest];
}

const notOurs = ({ thing, reads }: Setting): Step => ({
  ...{ state: 'denied', thing, action: reads },
  text: 'AWS denies each look at it: it belongs to another account, or these credentials may not see it',
  hint: `name another bucket, or allow ${reads} and s3:Get* on it to the role of these credentials`,
});

async function keepGroupRight(
  [thing, ...settings]: Group,
  found: readonly Step[][],
  say: (step: Step) => void,
  signal: AbortSignal,
): Promise<void> {
  const tellAll = (steps: readonly Step[]) => {
    for (const step of steps) say(step);
    return steps;
  };
  const [first = []] = found;
  const made = first.some(isTodo) ? await keepRight(thing, signal) : first;
  tellAll(made);
  if (first[0]?.state === 'missing') {
    if (made[0]?.state !== 'created' && made[0]?.state !== 'ok') return;
  } else if (found.length === 1) return;
  for (const [i, setting] of settings.entries()) {
    const steps = found[i + 1];
    tellAll(steps === undefined || steps.some(isTodo) ? await keepRight(setting, signal) : steps);
  }
}

const isTodo = ({ state }: Step) => state === 'missing' || state === 'differs';

async function consent(
  todo: readonly Step[],
  { account, region }: { account: string; region: string },
  { isYes, ask, plan, signal }: InitOptions,
): Promise<void> {
  if (isYes) return;
  const where = `in the account ${account}, ${region}`;
  const things = todo.length === 1 ? 'one thing' : `${todo.length} things`;
  plan(todo, `Create or change ${todo.length === 1 ? 'this' : 'these'} ${where}?   y: yes   n: no`);
  if (ask === undefined) {
    throw new TriggerDeployError(
      'USAGE',
      `${things} must be created or changed ${where}, and nobody can be asked here`,
      {
        hint: 'add --yes to do it, or --dry-run to see it only',
      },
    );
  }
  if (!(await ask(signal))) throw new TriggerDeployError('CANCELLED', 'nothing was created or changed');
}

function countsOf(steps: readonly Step[]): InitAnswer['counts'] {
  const counts: Partial<Record<Step['state'], number>> = {};
  for (const { state } of steps) counts[state] = (counts[state] ?? 0) + 1;
  return counts;
}

/** 4 where AWS denied something; 1 where something is wrong that `init` does not or could not change. */
function exitCodeOf(steps: readonly Step[]): ExitCode {
  if (steps.some(({ state }) => state === 'denied')) return 4;
  return steps.some(({ state }) => state === 'wrong' || state === 'failed') ? 1 : 0;
}
