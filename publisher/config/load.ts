import { access } from 'node:fs/promises';
import { delimiter, dirname, join, resolve } from 'node:path';
import {
  type ConfigFile,
  type Mistake,
  mistaken,
  mistakesOf,
  nearest,
  readConfigFile,
} from '../../shared/config-file.ts';
import { isCode, TriggerDeployError } from '../../shared/errors.ts';
import { envName, topicName } from '../../shared/names.ts';
import {
  configuration,
  type EnvironmentInFile,
  type FormName,
  forms,
  KNOWN_KEYS,
  type NotifyInFile,
  type ServiceDefaults,
} from './schema.ts';
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
  /** The private key file; absent where one only looks. */
  signingKey: string | undefined;
  /** Public key files accepted besides the signing key's own. */
  trust: readonly string[];
  services: Readonly<Record<string, ServiceDefaults>>;
  /** The environment a version must have succeeded in before. */
  requires?: string | undefined;
  /** Who must agree to a deployment. */
  confirm?: 'person' | undefined;
  /** Who is told what happens. */
  notify?: Notify | undefined;
}

export interface Notify {
  /** A Slack-compatible incoming webhook; its address is a secret. */
  webhook?: WebhookPlace | undefined;
  /** The ARN of a topic for whatever else listens. */
  events?: string | undefined;
}

export interface ConfigSource {
  cwd: string;
  /** The user's home directory. */
  home: string;
  variables: Readonly<Record<string, string | undefined>>;
  /** `--config-file`. */
  file?: string | undefined;
}

/** Every place a configuration is looked for; the first found wins. */
export function candidates(source: ConfigSource): string[] {
  const named = source.file ?? variable(source, 'TRIGGER_DEPLOY_CONFIG');
  if (named !== undefined) return [pathFrom(source.cwd, named, source.home)];
  const user = variable(source, 'XDG_CONFIG_HOME') ?? join(source.home, '.config');
  return [source.cwd, join(user, 'trigger-deploy'), '/etc/trigger-deploy'].flatMap((directory) =>
    ['yaml', 'yml'].map((ending) => join(directory, `trigger-deploy.${ending}`)),
  );
}

/**
 * The environment `wanted`, else TRIGGER_DEPLOY_ENV, else, with `orHome`, the file's `home`. Environments
 * not asked for may be incomplete, but nothing in the file may be wrong.
 * @throws USAGE when none is named or there is no such, CONFIG_INVALID with every mistake at once.
 */
export async function loadEnvironment(
  source: ConfigSource,
  wanted: { name: string | undefined; orHome: boolean },
): Promise<Environment> {
  const asked = wanted.name ?? variable(source, 'TRIGGER_DEPLOY_ENV');
  if (asked !== undefined && !envName.safeParse(asked).success) {
    throw new TriggerDeployError('USAGE', `${JSON.stringify(asked)} is not the name of an environment`, {
      hint: 'an environment is 1 to 16 of a-z and 0-9, such as dev',
    });
  }
  const file = await findFile(source);
  const { environments, home, mistakes } = file ? readEnvironments(file) : nothing();
  const name = asked ?? (wanted.orHome ? home : undefined);
  const inFile = name !== undefined && Object.hasOwn(environments, name) ? environments[name] : undefined;
  if (name === undefined || (!inFile && !standsIn(source))) {
    if (file && mistakes.length > 0) throw mistaken(file.name, mistakes);
    throw name === undefined ? unnamed(environments) : unknown(name, environments, file, source);
  }
  const merged = override(inFile ?? {}, source, mistakes);
  crossCheck(name, merged, file, mistakes);
  if (mistakes.length > 0) throw mistaken(file?.name ?? 'the environment', mistakes);
  const { region, topic, bucket, profile, role, requires, confirm } = merged;
  if (!region || !topic || !bucket) throw new Error('crossCheck let an incomplete environment pass');
  const path = (value: string) => pathFrom(file ? dirname(file.name) : source.cwd, value, source.home);
  // A path in a variable is relative to where it was typed, not to a file elsewhere.
  const typed = (value: string) => pathFrom(source.cwd, value, source.home);
  const key = variable(source, 'TRIGGER_DEPLOY_SIGNING_KEY');
  const trust = variable(source, 'TRIGGER_DEPLOY_TRUST')?.split(delimiter);
  return {
    ...{ name, region, topic, bucket, profile, role, requires, confirm },
    pathStyle: merged.pathStyle ?? false,
    signingKey: key !== undefined ? typed(key) : merged.signingKey && path(merged.signingKey),
    trust: trust ? trust.filter(Boolean).map(typed) : (merged.trust ?? []).map(path),
    services: merged.services ?? {},
    notify: merged.notify && notifyOf(merged.notify, path),
  };
}

/**
 * Another environment than the one that is changed: as the file has it, for TRIGGER_DEPLOY_REGION and the others of
 * this program speak of the changed one only. @throws as `loadEnvironment`.
 */
export async function loadBeside(source: ConfigSource, name: string): Promise<Environment> {
  const own = (key: string) => key.startsWith('TRIGGER_DEPLOY_') && key !== 'TRIGGER_DEPLOY_CONFIG';
  const rest = Object.entries(source.variables).filter(([key]) => !own(key));
  return await loadEnvironment({ ...source, variables: Object.fromEntries(rest) }, { name, orHome: false });
}

/** Every environment of the file, in its order. @throws CONFIG_INVALID when there is no file, or it is wrong. */
export async function environmentNames(source: ConfigSource): Promise<string[]> {
  const file = await findFile(source);
  if (file === undefined) throw fileMissing(source);
  const { environments, mistakes } = readEnvironments(file);
  if (mistakes.length > 0) throw mistaken(file.name, mistakes);
  return Object.keys(environments);
}

/** Whether an environment of the file names the service; false where there is no file, or it cannot be read. */
export async function configuresService(source: ConfigSource, service: string): Promise<boolean> {
  try {
    const file = await findFile(source);
    if (file === undefined) return false;
    const environments = Object.values(readEnvironments(file).environments);
    return environments.some((one) => Object.hasOwn(object(one.services), service));
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

interface Read {
  environments: Record<string, EnvironmentInFile>;
  home: string | undefined;
  mistakes: Mistake[];
}
const nothing = (): Read => ({ environments: {}, home: undefined, mistakes: [] });

/** What the file holds. Where it is wrong, the rest is still read, so that every mistake is told at once. */
function readEnvironments(file: ConfigFile): Read {
  const parsed = configuration.safeParse(file.content);
  const mistakes = parsed.success ? [] : mistakesOf(parsed.error, file, KNOWN_KEYS);
  const raw = file.content as { home?: unknown; environments?: unknown } | null;
  const listed: Record<string, EnvironmentInFile> = parsed.success
    ? parsed.data.environments
    : (object(raw?.environments) as Record<string, EnvironmentInFile>);
  const environments = Object.fromEntries(
    Object.entries(listed).map(([name, one]) => [name, object(one) as EnvironmentInFile]),
  );
  const home = typeof raw?.home === 'string' ? raw.home : undefined;
  if (home !== undefined && envName.safeParse(home).success && !Object.hasOwn(environments, home)) {
    const text = `expected one of the environments (${Object.keys(environments).join(', ')}), found "${home}"`;
    mistakes.push({ path: 'home', line: file.lineOf(['home']), text });
  }
  return { environments, home, mistakes };
}

/** Variables over the file. The SDK's own replace the file's profile, not TRIGGER_DEPLOY_PROFILE. */
function override(inFile: EnvironmentInFile, source: ConfigSource, mistakes: Mistake[]): EnvironmentInFile {
  const merged: EnvironmentInFile = { ...inFile };
  if (variable(source, 'AWS_PROFILE') ?? variable(source, 'AWS_ACCESS_KEY_ID')) delete merged.profile;
  merged.region ??= variable(source, 'AWS_REGION') ?? variable(source, 'AWS_DEFAULT_REGION');
  const whose = ['TRIGGER_DEPLOY_PROFILE', 'TRIGGER_DEPLOY_ROLE'].some((one) => variable(source, one));
  if (whose) {
    delete merged.profile;
    delete merged.role;
  }
  for (const key of Object.keys(forms) as FormName[]) {
    const name = `TRIGGER_DEPLOY_${key.replace(/[A-Z]/g, '_$&').toUpperCase()}`;
    const value = variable(source, name);
    if (value === undefined) continue;
    const parsed = forms[key].safeParse(value);
    merged[key] = value;
    if (!parsed.success) mistakes.push({ path: name, text: parsed.error.issues[0]?.message ?? 'wrong' });
  }
  const pathStyle = variable(source, 'TRIGGER_DEPLOY_PATH_STYLE');
  if (pathStyle !== undefined) {
    merged.pathStyle = /^(1|true|yes)$/i.test(pathStyle);
    if (!/^(1|0|true|false|yes|no)$/i.test(pathStyle)) {
      const text = `expected true or false, found ${JSON.stringify(pathStyle)}`;
      mistakes.push({ path: 'TRIGGER_DEPLOY_PATH_STYLE', text });
    }
  }
  return merged;
}

/** What one value cannot tell: what is missing, and whether topic, region and environment agree. */
function crossCheck(
  name: string,
  merged: EnvironmentInFile,
  file: ConfigFile | undefined,
  mistakes: Mistake[],
): void {
  const known = new Set(mistakes.map((mistake) => mistake.path));
  const add = (key: string, text: string) => {
    const path = `environments.${name}.${key}`;
    const line = file?.lineOf(['environments', name, key]);
    // With no file, the variable is what a person can set.
    const shown = file ? path : `TRIGGER_DEPLOY_${key.toUpperCase()}`;
    if (!known.has(path) && !known.has(`TRIGGER_DEPLOY_${key.toUpperCase()}`)) {
      mistakes.push({ path: shown, line, text });
    }
  };
  for (const key of ['region', 'topic', 'bucket'] as const) {
    const missing = forms[key].safeParse(undefined);
    if (merged[key] === undefined) add(key, missing.error?.issues[0]?.message ?? 'missing');
  }
  if (merged.profile !== undefined && merged.role !== undefined) {
    add('role', 'expected a profile or a role, found both');
  }
  if (merged.requires === name) add('requires', 'expected another environment, found itself');
  if (!forms.topic.safeParse(merged.topic).success || !forms.region.safeParse(merged.region).success) return;
  const events = merged.notify?.events;
  if (events !== undefined && events.split(':')[3] !== merged.region) {
    add('notify.events', `expected a topic in ${merged.region}, the environment's region, found ${events}`);
  } else if (events !== undefined && events === merged.topic) {
    add('notify.events', 'expected a topic of its own, found that of the announcements: agents listen there');
  }
  const [, , , region, , topic] = merged.topic?.split(':') ?? [];
  if (region !== merged.region) {
    add('topic', `expected a topic in ${merged.region}, the environment's region, found one in ${region}`);
  } else if (topic !== topicName(name)) {
    add('topic', `expected the topic ${topicName(name)}, as the environment is ${name}, found ${topic}`);
  }
}

async function findFile(source: ConfigSource): Promise<ConfigFile | undefined> {
  const places = candidates(source);
  for (const place of places) {
    const there = await access(place).then(
      () => true,
      () => false,
    );
    if (there || places.length === 1) return await readConfigFile(place);
  }
  return undefined;
}

/** Whether the variables describe an environment without any file. */
function standsIn(source: ConfigSource): boolean {
  return ['TOPIC', 'BUCKET'].every((one) => variable(source, `TRIGGER_DEPLOY_${one}`) !== undefined);
}

function unnamed(environments: Read['environments']): TriggerDeployError {
  const names = Object.keys(environments);
  const there = names.length > 0 ? `; the environments are ${names.join(', ')}` : '';
  return new TriggerDeployError('USAGE', '--env is required', {
    hint: `add --env NAME or set TRIGGER_DEPLOY_ENV${there}`,
  });
}

function unknown(
  name: string,
  environments: Read['environments'],
  file: ConfigFile | undefined,
  source: ConfigSource,
): TriggerDeployError {
  if (!file) return fileMissing(source);
  const names = Object.keys(environments);
  const meant = nearest(name, names);
  return new TriggerDeployError('USAGE', `there is no environment ${name} in ${file.name}`, {
    hint: `the environments are ${names.join(', ') || 'none'}${meant === undefined ? '' : ` (did you mean ${meant}?)`}`,
  });
}

function fileMissing(source: ConfigSource): TriggerDeployError {
  return new TriggerDeployError('CONFIG_INVALID', 'no trigger-deploy.yaml was found', {
    detail: candidates(source)
      .map((place) => `looked for ${place}`)
      .join('\n'),
    hint: 'write one, name it with --config-file, or set TRIGGER_DEPLOY_REGION, _TOPIC, _BUCKET and _SIGNING_KEY',
  });
}

/** A variable that is set and not empty. */
function variable(source: ConfigSource, name: string): string | undefined {
  return source.variables[name] || undefined;
}

function pathFrom(base: string, path: string, home: string): string {
  return resolve(base, path === '~' || path.startsWith('~/') ? join(home, path.slice(1)) : path);
}

function object(value: unknown): object {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};
}
