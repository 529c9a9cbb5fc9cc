import { access, lstat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type ConfigFile, readConfigFile } from '../../shared/config-file.ts';
import { TriggerDeployError } from '../../shared/errors.ts';

/** Where the configuration comes from: a file and variables. */

export interface ConfigSource {
  cwd: string;
  /** The user's home directory. */
  home: string;
  variables: Readonly<Record<string, string | undefined>>;
  /** `--config-file`. */
  file?: string | undefined;
}

/** The paths where a config file is looked for; the first that exists is used. */
export function candidates(source: ConfigSource): string[] {
  const named = source.file ?? variable(source, 'TRIGGER_DEPLOY_CONFIG');
  if (named !== undefined) return [pathFrom(source.cwd, named, source.home)];
  const user = variable(source, 'XDG_CONFIG_HOME') ?? join(source.home, '.config');
  return [source.cwd, join(user, 'trigger-deploy'), '/etc/trigger-deploy'].flatMap((directory) =>
    ['yaml', 'yml'].map((ending) => join(directory, `trigger-deploy.${ending}`)),
  );
}

/** Whether the user named a file that does not exist, not even as a link that leads nowhere. */
export async function isNamedFileMissing(source: ConfigSource): Promise<boolean> {
  const [named, ...others] = candidates(source);
  if (named === undefined || others.length > 0) return false;
  return await lstat(named).then(
    () => false,
    (error: NodeJS.ErrnoException) => error.code === 'ENOENT',
  );
}

/**
 * Reads the first candidate that exists; undefined when none does.
 * @throws CONFIG_INVALID when the file cannot be read, or when the file that the user named does not exist.
 */
export async function findConfigFile(source: ConfigSource): Promise<ConfigFile | undefined> {
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

export function configFileMissing(source: ConfigSource): TriggerDeployError {
  return new TriggerDeployError('CONFIG_INVALID', 'no trigger-deploy.yaml was found', {
    detail: candidates(source)
      .map((place) => `looked for ${place}`)
      .join('\n'),
    hint: 'create the file, name it with --config-file, or set TRIGGER_DEPLOY_REGION, _TOPIC, _BUCKET and _SIGNING_KEY',
  });
}

/** A variable that is set and not empty. */
export function variable(source: ConfigSource, name: string): string | undefined {
  return source.variables[name] || undefined;
}

export function pathFrom(base: string, path: string, home: string): string {
  return resolve(base, path === '~' || path.startsWith('~/') ? join(home, path.slice(1)) : path);
}
