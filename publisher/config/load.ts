import { delimiter, dirname } from 'node:path';
import type { AwsPlaces } from '../../shared/aws-errors.ts';
import { kmsKeyOf } from '../../shared/aws-names.ts';
import { type ConfigFile, mistaken } from '../../shared/config-file.ts';
import { parseDuration } from '../../shared/duration.ts';
import { isCode, TriggerDeployError } from '../../shared/errors.ts';
import { envName } from '../../shared/names.ts';
import { nearest } from '../../shared/nearest.ts';
import type { QueueTags } from '../../shared/queue-tags.ts';
import type { Sessions } from '../../shared/role-session.ts';
import { parseSize, type Size } from '../plan/waves.ts';
import { type ConfigSource, configFileMissing, findConfigFile, pathFrom, variable } from './config-source.ts';
import {
  applyVariables,
  checkAgreement,
  type EnvironmentsInFile,
  noEnvironments,
  readEnvironments,
} from './environments.ts';
import type { RetentionInFile } from './retention.ts';
import type { EnvironmentInFile, NotifyInFile, ServiceDefaults } from './schema.ts';
import type { WebhookPlace } from './webhook-place.ts';

/** One environment as the commands use it: complete, variables applied, paths absolute. */
export interface Environment {
  name: string;
  region: string;
  profile?: string | undefined;
  role?: string | undefined;
  topic: string;
  bucket: string;
  pathStyle: boolean;
  /** The private key file, or `kms:` and the name of a key of KMS; not needed by commands that change nothing. */
  signingKey: string | undefined;
  /** Public key files that are accepted besides the signing key's own. */
  trust: readonly string[];
  services: Readonly<Record<string, ServiceDefaults>>;
  /** Whether EC2 may be asked for instances that do not answer: all of them are in this account and region. */
  ec2?: boolean | undefined;
  /** How long an instance must have been silent until no deployment waits for it, ms; Infinity: never. */
  forgetAfterMs?: number | undefined;
  /** The most instances of a deployment that silence alone may remove from it. */
  forgetAtMost?: Size | undefined;
  /** The directory of the config file, in which `verify` runs; without a file the current directory. */
  directory?: string | undefined;
  /** What `gc` keeps of each service. */
  retention?: RetentionInFile | undefined;
  /** The environment in which a version must have succeeded before it is deployed here. */
  requires?: string | undefined;
  /**
   * Who must confirm each deployment: a person, or a person other than the one who issued it, where a console has verified
   * who both are; nobody when left out.
   */
  confirm?: 'person' | 'other' | undefined;
  /** The role sessions of the instances whose session is not the instance id. */
  sessions?: Sessions | undefined;
  /** The address of the console: `console.url`. */
  consoleUrl?: string | undefined;
  /** Whether the config has `console:`: then somebody may look at what others drive. */
  hasConsole?: true | undefined;
  /** Where notifications are sent. */
  notify?: Notify | undefined;
  /** Tags of the reply queues, for cost allocation; the queues have no tags at all when left out. */
  queueTags?: QueueTags | undefined;
  /** Where the file or a variable sets them, for hints: `trigger-deploy.yaml:4: environments.dev.region`. */
  places?: AwsPlaces | undefined;
}

export interface Notify {
  /** A Slack-compatible incoming webhook; its address is a secret. */
  webhook?: WebhookPlace | undefined;
  /** The ARN of an SNS topic that receives every notification as JSON. */
  events?: string | undefined;
}

/**
 * Loads the environment `wanted`, else TRIGGER_DEPLOY_ENV, else, with `orHome`, the `home` of the file. Other
 * environments of the file may be incomplete, but no value in the file may be wrong.
 * @throws USAGE when no environment is named, or when the file does not have it; CONFIG_INVALID, with every mistake at
 * once, or when there is no file.
 */
export async function loadEnvironment(
  source: ConfigSource,
  wanted: { name: string | undefined; orHome: boolean },
): Promise<Environment> {
  const asked = wanted.name ?? variable(source, 'TRIGGER_DEPLOY_ENV');
  if (asked !== undefined && !envName.safeParse(asked).success) {
    throw new TriggerDeployError('USAGE', `${JSON.stringify(asked)} is not the name of an environment`, {
      hint: 'an environment name has 1 to 16 characters of a-z and 0-9, such as dev',
    });
  }
  const file = await findConfigFile(source);
  const read = file ? readEnvironments(file) : noEnvironments();
  const { environments, home, mistakes } = read;
  const name = asked ?? (wanted.orHome ? home : undefined);
  const inFile = name !== undefined && Object.hasOwn(environments, name) ? environments[name] : undefined;
  if (name === undefined || (!inFile && !isInVariables(source))) {
    if (file && mistakes.length > 0) throw mistaken(file.name, mistakes);
    throw name === undefined
      ? environmentRequired(environments)
      : unknownEnvironment(name, environments, file, source);
  }
  const merged = applyVariables(inFile ?? {}, source, mistakes);
  checkAgreement(name, merged, file, mistakes);
  if (mistakes.length > 0) throw mistaken(file?.name ?? 'the environment', mistakes);
  const { region, topic, bucket, profile, role, requires, confirm, sessions, queueTags } = merged;
  if (!region || !topic || !bucket) throw new Error('an incomplete environment was accepted');
  const directory = file ? dirname(file.name) : source.cwd;
  const path = (value: string) => pathFrom(directory, value, source.home);
  // A path in a variable is relative to the current directory, not to the directory of the config file.
  const typed = (value: string) => pathFrom(source.cwd, value, source.home);
  const key = variable(source, 'TRIGGER_DEPLOY_SIGNING_KEY');
  const trust = variable(source, 'TRIGGER_DEPLOY_TRUST')?.split(delimiter);
  return {
    ...{ name, region, topic, bucket, profile, role, requires, confirm, sessions, queueTags },
    pathStyle: merged.pathStyle ?? false,
    signingKey: signingKeyOf(key, typed) ?? signingKeyOf(merged.signingKey, path),
    trust: trust ? trust.filter(Boolean).map(typed) : (merged.trust ?? []).map(path),
    services: merged.services ?? {},
    ...forgettingOf(merged),
    directory,
    ...(merged.retention && { retention: merged.retention }),
    ...(read.console !== undefined && { hasConsole: true as const }),
    ...(read.console?.url !== undefined && { consoleUrl: read.console.url }),
    notify: merged.notify && notifyOf(merged.notify, path),
    places: placesOf(name, file, source),
  };
}

const signingKeyOf = (value: string | undefined, path: (value: string) => string) =>
  value === undefined || kmsKeyOf(value) !== undefined ? value : path(value);
function forgettingOf({ ec2, forgetAfter, forgetAtMost }: EnvironmentInFile) {
  const after = forgetAfter === 'never' ? Number.POSITIVE_INFINITY : parseDuration(forgetAfter ?? '');
  return {
    ...(ec2 !== undefined && { ec2 }),
    ...(after !== undefined && { forgetAfterMs: after }),
    ...(forgetAtMost !== undefined && { forgetAtMost: parseSize(forgetAtMost) }),
  };
}

/** Where region, bucket and topic of the environment are set. */
function placesOf(name: string, file: ConfigFile | undefined, source: ConfigSource): AwsPlaces {
  const placeOf = (key: 'region' | 'bucket' | 'topic') => {
    const own = `TRIGGER_DEPLOY_${key.toUpperCase()}`;
    if (variable(source, own) !== undefined) return own;
    const path = ['environments', name, key];
    if (file?.has(path)) return `${file.name}:${file.lineOf(path)}`;
    return ['AWS_REGION', 'AWS_DEFAULT_REGION'].find((one) => variable(source, one) !== undefined);
  };
  return { region: placeOf('region'), bucket: placeOf('bucket'), topic: placeOf('topic') };
}

/**
 * Loads another environment of the config file. TRIGGER_DEPLOY_* variables are not applied (but TRIGGER_DEPLOY_CONFIG
 * is): they belong to the environment of the command. @throws as `loadEnvironment`.
 */
export async function loadBeside(source: ConfigSource, name: string): Promise<Environment> {
  const own = (key: string) => key.startsWith('TRIGGER_DEPLOY_') && key !== 'TRIGGER_DEPLOY_CONFIG';
  const rest = Object.entries(source.variables).filter(([key]) => !own(key));
  return await loadEnvironment({ ...source, variables: Object.fromEntries(rest) }, { name, orHome: false });
}

/** The names of the file's environments, in its order. @throws CONFIG_INVALID when there is no file, or it is wrong. */
export async function environmentNames(source: ConfigSource): Promise<string[]> {
  const file = await findConfigFile(source);
  if (file === undefined) throw configFileMissing(source);
  const { environments, mistakes } = readEnvironments(file);
  if (mistakes.length > 0) throw mistaken(file.name, mistakes);
  return Object.keys(environments);
}

/** Whether an environment of the file names the service; false where there is no file, or it cannot be read. */
export async function configuresService(source: ConfigSource, service: string): Promise<boolean> {
  try {
    const file = await findConfigFile(source);
    if (file === undefined) return false;
    const environments = Object.values(readEnvironments(file).environments);
    return environments.some((one) => Object.keys(one.services ?? {}).includes(service));
  } catch (error) {
    if (isCode(error, 'CONFIG_INVALID')) return false;
    throw error;
  }
}

function notifyOf(
  { webhook, webhookFile, webhookVariable, events }: NotifyInFile,
  path: (value: string) => string,
): Notify {
  const place =
    webhook !== undefined
      ? { address: webhook }
      : webhookFile !== undefined
        ? { file: path(webhookFile) }
        : webhookVariable && { variable: webhookVariable };
  return { webhook: place || undefined, events };
}

/** Whether the variables describe an environment, so that no file is needed. */
function isInVariables(source: ConfigSource): boolean {
  return ['TOPIC', 'BUCKET'].every((one) => variable(source, `TRIGGER_DEPLOY_${one}`) !== undefined);
}

function environmentRequired(environments: EnvironmentsInFile['environments']): TriggerDeployError {
  const names = Object.keys(environments);
  const there = names.length > 0 ? `; the environments are ${names.join(', ')}` : '';
  return new TriggerDeployError('USAGE', '--env is required', {
    hint: `add --env NAME or set TRIGGER_DEPLOY_ENV${there}`,
  });
}

function unknownEnvironment(
  name: string,
  environments: EnvironmentsInFile['environments'],
  file: ConfigFile | undefined,
  source: ConfigSource,
): TriggerDeployError {
  if (!file) return configFileMissing(source);
  const names = Object.keys(environments);
  const meant = nearest(name, names);
  return new TriggerDeployError('USAGE', `there is no environment ${name} in ${file.name}`, {
    hint: `the environments are ${names.join(', ') || 'none'}${meant === undefined ? '' : ` (did you mean ${meant}?)`}`,
  });
}
