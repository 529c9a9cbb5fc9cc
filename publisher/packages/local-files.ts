import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { messageOf, TriggerDeployError } from '../../shared/errors.ts';
import { type Artifact, areConfigsApart, releasePlace, roleBeside } from '../../shared/manifest.ts';
import { placedFile, plainFile } from '../../shared/placed-file.ts';
import type { Part } from './upload.ts';
import { verifiedBytes } from './verify-stream.ts';

/** A local file to push. Its artifact has the size and the sha256 that the file had when it was read. */
export interface LocalFile {
  path: string;
  artifact: Artifact;
}

/**
 * Checks and hashes the files. The first of `files` is the package; the others and `configs` are config files. If the
 * first is a .deb, the other .deb files are packages of the same version. A config file may be `FILE=PATH/IN/RELEASE`.
 * @throws USAGE naming the file.
 */
export async function describeFiles(
  files: readonly string[],
  configs: readonly string[],
  signal: AbortSignal,
  warn: (text: string) => void = () => {},
): Promise<LocalFile[]> {
  const [first, ...others] = files;
  if (first === undefined) throw new TriggerDeployError('USAGE', 'push needs a file');
  const named = [
    { path: first, role: 'package' as const },
    ...others.map((path) => ({ path, role: roleBeside(first, path) })),
    ...configs.map((path) => ({ path, role: 'config' as const })),
  ];
  return await described(named, new Map(), signal, warn);
}

/** Checks and hashes config files. None may have the file name of a package. @throws USAGE naming the file. */
export async function describeConfigs(
  configs: readonly string[],
  packageNames: readonly string[],
  signal: AbortSignal,
  warn: (text: string) => void = () => {},
): Promise<LocalFile[]> {
  const named = configs.map((path) => ({ path, role: 'config' as const }));
  const taken = new Map(packageNames.map((name) => [name, `the package ${name}`]));
  return await described(named, taken, signal, warn);
}

async function described(
  given: readonly { path: string; role: Artifact['role'] }[],
  /** The names in use, each with the file that has it. */
  taken: Map<string, string>,
  signal: AbortSignal,
  warn: (text: string) => void,
): Promise<LocalFile[]> {
  const named: Named[] = [];
  for (const { path: text, role } of given) {
    const one = await namedFile(text, role);
    const place = releasePlace(one.as);
    const other = taken.get(one.as.name);
    if (other !== undefined) {
      throw new TriggerDeployError('USAGE', `${other} and ${text} have the same name: ${place}`, {
        hint: 'rename one of them, or give another path in the release: --config FILE=PATH/IN/RELEASE',
      });
    }
    taken.set(one.as.name, text);
    named.push(one);
  }
  if (!areConfigsApart(named.map(({ role, as }) => ({ role, ...as })))) {
    const places = named.filter(({ role }) => role === 'config').map(({ as }) => releasePlace(as));
    const text = `a config file is in place of the directory of another one: ${places.join(', ')}`;
    throw new TriggerDeployError('USAGE', text, { hint: 'choose another path for one of them' });
  }
  if (taken.size > 32) {
    throw new TriggerDeployError('USAGE', `${taken.size} files; a version has at most 32`, {
      hint: 'put them into one archive (tar.gz)',
    });
  }
  // All files are checked before the first is hashed, so that a mistake is reported before gigabytes are read.
  const modes = new Map<string, number>();
  for (const { path } of named) modes.set(path, await checkFile(path));
  for (const { path, role } of named) {
    if (role !== 'package') continue;
    const { checkPackage } = await import('./check-package.ts');
    await checkPackage(path, signal, warn);
  }
  const files: LocalFile[] = [];
  for (const { path, role, as } of named) {
    const { size, sha256 } = await digest(path, signal);
    const artifact: Artifact = { ...as, size, sha256, role };
    if (role === 'config') {
      artifact.mode = modes.get(path) ?? 0o600;
      if ((artifact.mode & 0o004) === 0) warn(closedConfig(releasePlace(artifact), artifact.mode));
    }
    files.push({ path, artifact });
  }
  return files;
}

interface Named {
  path: string;
  role: Artifact['role'];
  as: Pick<Artifact, 'name' | 'path'>;
}

async function namedFile(text: string, role: Artifact['role']): Promise<Named> {
  const { file, name, path, wrong } = role === 'config' ? await placedFile(text) : plainFile(text);
  if (wrong === undefined) return { path: file, role, as: { name, ...(path !== undefined && { path }) } };
  throw new TriggerDeployError('USAGE', `${text}: ${wrong}`, {
    hint:
      role === 'config'
        ? 'rename the file, or give it another name or path in the release: FILE=PATH/IN/RELEASE'
        : 'rename the file: it has the same name on the instances',
  });
}

function closedConfig(name: string, mode: number): string {
  const octal = mode.toString(8).padStart(4, '0');
  return `${name} keeps its mode ${octal}: on the instances, only root can read it`;
}

/** Returns the mode of the file. */
async function checkFile(path: string): Promise<number> {
  const refuse = (why: string, hint: string, cause?: unknown) =>
    new TriggerDeployError('USAGE', `cannot push ${path}: ${why}`, { hint, cause });
  const found = await stat(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') throw refuse('there is no such file', 'check the path', cause);
    throw refuse(messageOf(cause), 'check the path and its permissions', cause);
  });
  if (found.isDirectory()) throw refuse('it is a directory', 'pack it: tar czf NAME.tar.gz -C DIRECTORY .');
  if (!found.isFile()) throw refuse('it is not a regular file', 'copy it into a file first');
  if (found.size === 0) throw refuse('it is empty', 'check that the build wrote it');
  return found.mode & 0o777;
}

async function digest(path: string, signal: AbortSignal): Promise<{ size: number; sha256: string }> {
  const hash = createHash('sha256');
  let size = 0;
  try {
    for await (const chunk of createReadStream(path, { signal }) as AsyncIterable<Buffer>) {
      hash.update(chunk);
      size += chunk.length;
    }
  } catch (cause) {
    if (signal.aborted) throw signal.reason;
    throw new TriggerDeployError('USAGE', `cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
  return { size, sha256: hash.digest('hex') };
}

/** `file` as a part of a version. Reading the part fails if the file has changed since it was hashed. */
export function partOf(file: LocalFile): Part {
  const { path, artifact } = file;
  const changed = (why: string) =>
    new TriggerDeployError('ARTIFACT_DIGEST_MISMATCH', `${path} changed while it was pushed: ${why}`, {
      hint: 'push again once the build has finished writing it',
    });
  const read = (signal: AbortSignal) => createReadStream(path, { signal }) as AsyncIterable<Buffer>;
  return { artifact, from: path, bytes: (signal) => verifiedBytes(read(signal), artifact, signal, changed) };
}
