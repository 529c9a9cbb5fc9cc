import type { AwsPlaces } from '../../shared/aws-errors.ts';
import { accountOfArn } from '../../shared/aws-names.ts';
import { mistaken } from '../../shared/config-file.ts';
import { TriggerDeployError } from '../../shared/errors.ts';
import { envName, topicName } from '../../shared/names.ts';
import { type ConfigSource, findConfigFile, isNamedFileMissing, variable } from './config-source.ts';
import { applyVariables, noEnvironments, readEnvironments } from './environments.ts';
import { loadEnvironment } from './load.ts';
import { type EnvironmentInFile, type FormName, forms } from './schema.ts';

/** An environment that may not be in the config yet: what `init` knows before it asks AWS. */
export interface SetupPlace {
  env: string;
  region: string;
  bucket: string;
  /** The account, where the config or the command line says it. */
  account: string | undefined;
  profile: string | undefined;
  role: string | undefined;
  pathStyle: boolean;
  /** The ARN of the topic of notifications. */
  events: string | undefined;
  signingKey: string | undefined;
  /** The features that the config uses and that need permissions. */
  uses: readonly ('alarms' | 'ec2' | 'queue-tags')[];
  places: AwsPlaces | undefined;
  /** Whether the config file or the variables describe the whole environment. */
  isConfigured: boolean;
  /** The config file that was found. */
  file: string | undefined;
}

/** What the command line says about the environment. */
export interface TypedPlace {
  env?: string | undefined;
  region?: string | undefined;
  bucket?: string | undefined;
  role?: string | undefined;
  account?: string | undefined;
  /** Whether the config file is written, so that the one that is named need not exist. */
  writeConfig?: boolean | undefined;
}

/**
 * The environment as the config has it, or as the command line and the variables describe it. What the config says cannot
 * be contradicted.
 * @throws USAGE, CONFIG_INVALID, as `loadEnvironment`.
 */
export async function loadForSetup(source: ConfigSource, typed: TypedPlace): Promise<SetupPlace> {
  const env = typed.env ?? variable(source, 'TRIGGER_DEPLOY_ENV');
  if (env === undefined) {
    throw new TriggerDeployError('USAGE', '--env is required', {
      hint: 'add --env NAME, the name of the environment to set up, such as dev',
    });
  }
  const name = envName.safeParse(env);
  if (!name.success) {
    throw new TriggerDeployError(
      'USAGE',
      `${JSON.stringify(env)} cannot be an environment: ${name.error.issues[0]?.message}`,
    );
  }
  const isNew = typed.writeConfig === true && (await isNamedFileMissing(source));
  const file = isNew ? undefined : await findConfigFile(source);
  const { environments, mistakes } = file ? readEnvironments(file) : noEnvironments();
  if (file && mistakes.length > 0) throw mistaken(file.name, mistakes);
  const isInFile = Object.hasOwn(environments, env);
  const inVariables = applyVariables({}, source, []);
  if (isInFile || (inVariables.topic !== undefined && inVariables.bucket !== undefined)) {
    const found = await loadEnvironment(source, { name: env, orHome: false });
    return agreed(
      {
        ...{ env, region: found.region, bucket: found.bucket, profile: found.profile, role: found.role },
        account: accountOfArn(found.topic),
        pathStyle: found.pathStyle,
        events: found.notify?.events,
        signingKey: environments[env]?.signingKey ?? found.signingKey,
        uses: usesOf(environments[env]),
        ...{ places: found.places, isConfigured: true, file: file?.name },
      },
      typed,
    );
  }
  const merged = withTyped(inVariables, typed);
  const { region, bucket } = merged;
  if (region === undefined || bucket === undefined) throw notDescribed(env, merged, file?.name);
  return {
    ...{ env, region, bucket, account: typed.account, profile: merged.profile, role: merged.role },
    ...{ pathStyle: merged.pathStyle ?? false, events: undefined, signingKey: merged.signingKey },
    ...{ uses: [], places: undefined, isConfigured: false, file: file?.name },
  };
}

/** The command line takes precedence over the variables, and is checked as they are. @throws USAGE. */
function withTyped(variables: EnvironmentInFile, typed: TypedPlace): EnvironmentInFile {
  const merged = { ...variables };
  for (const key of ['region', 'bucket', 'role'] as const) {
    if (typed[key] !== undefined) merged[key] = typed[key];
    if (merged[key] !== undefined) checkForm(key, merged[key]);
  }
  return merged;
}

function checkForm(key: FormName, value: string): void {
  const text = forms[key].safeParse(value).error?.issues[0]?.message;
  if (text !== undefined) throw new TriggerDeployError('USAGE', `--${key}: ${text}`);
}

function usesOf(inFile: EnvironmentInFile | undefined): SetupPlace['uses'] {
  const hasAlarms = Object.values(inFile?.services ?? {}).some(({ alarms }) => alarms !== undefined);
  return [
    ...(hasAlarms ? (['alarms'] as const) : []),
    ...(inFile?.ec2 ? (['ec2'] as const) : []),
    ...(inFile?.queueTags === undefined ? [] : (['queue-tags'] as const)),
  ];
}

function agreed(found: SetupPlace, typed: TypedPlace): SetupPlace {
  for (const key of ['region', 'bucket', 'role', 'account'] as const) {
    const wanted = typed[key];
    if (wanted === undefined || wanted === found[key]) continue;
    const has = found[key] === undefined ? 'none' : found[key];
    throw new TriggerDeployError(
      'USAGE',
      `--${key} ${wanted} differs from the config: ${found.env} has ${has}`,
      {
        hint: `leave --${key} out, or correct ${found.file ?? 'the variables TRIGGER_DEPLOY_*'}`,
      },
    );
  }
  return found;
}

function notDescribed(env: string, { region, bucket }: EnvironmentInFile, file: string | undefined) {
  const missing = [region === undefined && '--region', bucket === undefined && '--bucket'].filter(Boolean);
  const where = file === undefined ? 'there is no trigger-deploy.yaml' : `${file} has no environment ${env}`;
  return new TriggerDeployError('USAGE', `${where}: ${missing.join(' and ')} must say where it will be`, {
    hint: `trigger-deploy init --env ${env} --region eu-west-1 --bucket NAME`,
  });
}

/** What has to be in the config for the environment. */
export function entryOf(
  place: SetupPlace,
  account: string,
  partition: string,
  signingKey: string | undefined,
) {
  const { env, region, bucket, profile, role, pathStyle } = place;
  return {
    region,
    ...(profile !== undefined && { profile }),
    ...(role !== undefined && { role }),
    topic: `arn:${partition}:sns:${region}:${account}:${topicName(env)}`,
    bucket,
    ...(pathStyle && { pathStyle }),
    ...(signingKey !== undefined && { signingKey }),
  };
}
