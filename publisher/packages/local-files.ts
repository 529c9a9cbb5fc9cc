import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { messageOf, TriggerDeployError } from '../../shared/errors.ts';
import { type Artifact, roleBeside } from '../../shared/manifest.ts';
import { artifactName, artifactNameOf } from '../../shared/names.ts';
import type { Part } from './upload.ts';
import { verifiedBytes } from './verify-stream.ts';

/** A local file to push. Its artifact has the size and the sha256 that the file had when it was read. */
export interface LocalFile {
  path: string;
  artifact: Artifact;
}

/**
 * Checks and hashes the files. The first of `files` is the package; the others and `configs` are config files. If the
 * first is a .deb, the other .deb files are packages of the same version.
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
  named: readonly { path: string; role: Artifact['role'] }[],
  /** The names in use, each with the file that has it. */
  taken: Map<string, string>,
  signal: AbortSignal,
  warn: (text: string) => void,
): Promise<LocalFile[]> {
  for (const { path } of named) {
    const name = artifactNameOf(path);
    const parsed = artifactName.safeParse(name);
    if (!parsed.success) {
      throw new TriggerDeployError('USAGE', `${path}: ${parsed.error.issues[0]?.message}`, {
        hint: 'rename the file: it has the same name on the instances',
      });
    }
    const other = taken.get(name);
    if (other !== undefined) {
      throw new TriggerDeployError('USAGE', `${other} and ${path} have the same name: ${name}`, {
        hint: 'rename one of them: they are stored side by side on the instances',
      });
    }
    taken.set(name, path);
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
  for (const { path, role } of named) {
    const { size, sha256 } = await digest(path, signal);
    const artifact: Artifact = { name: artifactNameOf(path), size, sha256, role };
    if (role === 'config') {
      artifact.mode = modes.get(path) ?? 0o600;
      if ((artifact.mode & 0o004) === 0) warn(closedConfig(artifact.name, artifact.mode));
    }
    files.push({ path, artifact });
  }
  return files;
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
