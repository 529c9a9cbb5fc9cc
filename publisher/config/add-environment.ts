import { mkdir, open, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Document, isScalar, parseDocument } from 'yaml';
import { messageOf, TriggerDeployError } from '../../shared/errors.ts';
import { type ConfigSource, candidates, variable } from './config-source.ts';

/** Adds an environment to trigger-deploy.yaml. Comments, the order of what is there, its ends of line and a link to it stay. */

export type Entry = Readonly<Record<string, unknown>>;

/** The YAML to add for one environment; with `home`, as a whole file. */
export function environmentYaml(env: string, entry: Entry, isNewFile: boolean): string {
  const content = { ...(isNewFile && { home: env }), environments: { [env]: entry } };
  return new Document(content).toString({ lineWidth: 0 });
}

/** Where a new file is written: where --config-file or a variable says, else in the user's config directory. */
export function newConfigFile(source: ConfigSource): string {
  const places = candidates(source);
  const user = variable(source, 'XDG_CONFIG_HOME') ?? join(source.home, '.config');
  return places.length === 1 ? (places[0] ?? '') : join(user, 'trigger-deploy', 'trigger-deploy.yaml');
}

/**
 * Writes the environment into `file`, which is created where it does not exist. The file is replaced as a whole, so a run
 * that is killed leaves the old one. An environment that is there by now, of another run, stays. @throws CONFIG_INVALID.
 */
export async function addEnvironment(file: string, env: string, entry: Entry): Promise<void> {
  try {
    const found = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
      return undefined;
    });
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    const text = found === undefined ? environmentYaml(env, entry, true) : withEnvironment(found, env, entry);
    // A link stays, and the file that it names is replaced.
    if (text !== found) await replace(found === undefined ? file : await realpath(file), text);
  } catch (cause) {
    throw new TriggerDeployError('CONFIG_INVALID', `cannot write ${file}: ${messageOf(cause)}`, {
      cause,
      hint: 'leave --write-config out, and add the lines that are printed by hand',
    });
  }
}

function withEnvironment(text: string, env: string, entry: Entry): string {
  const document = parseDocument(text);
  // A file that is empty but for comments.
  if (document.contents === null) document.contents = document.createNode({}) as never;
  if (document.hasIn(['environments', env])) return text;
  const environments = document.get('environments', true);
  if (isScalar(environments) && environments.value === null)
    document.set('environments', document.createNode({}));
  document.setIn(['environments', env], document.createNode(entry));
  const written = document.toString({ lineWidth: 0 });
  return text.includes('\r\n') ? written.replaceAll('\n', '\r\n') : written;
}

async function replace(file: string, text: string): Promise<void> {
  const mode = await stat(file).then(
    (found) => found.mode & 0o777,
    () => 0o644,
  );
  const temporary = `${file}.${process.pid}.new`;
  try {
    await using opened = await open(temporary, 'wx', mode);
    await opened.writeFile(text);
    await opened.sync();
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await rename(temporary, file);
}
