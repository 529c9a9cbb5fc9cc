import { regionOfArn, topicOfArn } from '../../shared/aws-names.ts';
import { type ConfigFile, type Mistake, mistakesOf } from '../../shared/config-file.ts';
import { envName, topicName } from '../../shared/names.ts';
import { type ConfigSource, variable } from './config-source.ts';
import { configuration, type EnvironmentInFile, type FormName, forms, KNOWN_KEYS } from './schema.ts';
import type { ConsoleInFile } from './schema-console.ts';

/**
 * Reads the environments of a config file, applies the variables, and checks the result. Mistakes are collected, so
 * that all are reported at once.
 */

export interface EnvironmentsInFile {
  environments: Record<string, EnvironmentInFile>;
  home: string | undefined;
  console: ConsoleInFile | undefined;
  mistakes: Mistake[];
}
export const noEnvironments = (): EnvironmentsInFile => ({
  environments: {},
  home: undefined,
  console: undefined,
  mistakes: [],
});

/** Reads the whole file even where a part is wrong, so that every mistake is reported at once. */
export function readEnvironments(file: ConfigFile): EnvironmentsInFile {
  const parsed = configuration.safeParse(file.content);
  const mistakes = parsed.success ? [] : mistakesOf(parsed.error, file, KNOWN_KEYS);
  const raw = file.content as { home?: unknown; environments?: unknown; console?: unknown } | null;
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
  const rules = (object(raw?.console) as { allow?: unknown }).allow;
  mistakes.push(...unknownInRules(rules, Object.keys(environments), file));
  return { environments, home, console: parsed.data?.console, mistakes };
}

/**
 * The environment of the file with the variables applied. AWS_PROFILE and AWS_ACCESS_KEY_ID take precedence over the
 * profile of the file. TRIGGER_DEPLOY_PROFILE and TRIGGER_DEPLOY_ROLE take precedence over all of these.
 */
export function applyVariables(
  inFile: EnvironmentInFile,
  source: ConfigSource,
  mistakes: Mistake[],
): EnvironmentInFile {
  const merged: EnvironmentInFile = { ...inFile };
  if (variable(source, 'AWS_PROFILE') ?? variable(source, 'AWS_ACCESS_KEY_ID')) delete merged.profile;
  merged.region ??= variable(source, 'AWS_REGION') ?? variable(source, 'AWS_DEFAULT_REGION');
  const hasIdentity = ['TRIGGER_DEPLOY_PROFILE', 'TRIGGER_DEPLOY_ROLE'].some((one) => variable(source, one));
  if (hasIdentity) {
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

/** Adds to `mistakes` what is missing, and where topic, region and environment do not agree. */
export function checkAgreement(
  name: string,
  merged: EnvironmentInFile,
  file: ConfigFile | undefined,
  mistakes: Mistake[],
): void {
  const known = new Set(mistakes.map((mistake) => mistake.path));
  const add = (key: string, text: string) => {
    const path = `environments.${name}.${key}`;
    const line = file?.lineOf(['environments', name, key]);
    // Without a file, the mistake names the variable that must be set.
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
  if (events !== undefined && regionOfArn(events) !== merged.region) {
    add('notify.events', `expected a topic in ${merged.region}, the environment's region, found ${events}`);
  } else if (events !== undefined && events === merged.topic) {
    add(
      'notify.events',
      'expected a separate topic, found the topic of the announcements, which agents subscribe to',
    );
  }
  const region = regionOfArn(merged.topic ?? '');
  const topic = topicOfArn(merged.topic ?? '');
  if (region !== merged.region) {
    add('topic', `expected a topic in ${merged.region}, the environment's region, found one in ${region}`);
  } else if (topic !== topicName(name)) {
    add('topic', `expected the topic ${topicName(name)}, as the environment is ${name}, found ${topic}`);
  }
}

/** Rules for environments that the file does not have: a misspelt name would give nothing, and nobody would see why. */
function unknownInRules(rules: unknown, environments: readonly string[], file: ConfigFile): Mistake[] {
  if (!Array.isArray(rules)) return [];
  return rules.flatMap((rule: { env?: unknown } | null, at) =>
    (Array.isArray(rule?.env) ? rule.env : []).flatMap((name: unknown, i) => {
      if (typeof name !== 'string' || environments.includes(name)) return [];
      const path = ['console', 'allow', at, 'env', i];
      const text = `expected one of the environments (${environments.join(', ')}), found ${JSON.stringify(name)}`;
      return [{ path: path.join('.'), line: file.lineOf(path), text }];
    }),
  );
}

function object(value: unknown): object {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};
}
