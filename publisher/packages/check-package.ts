import { type FileHandle, open } from 'node:fs/promises';
import { basename } from 'node:path';
import { type Format, formatOf, HEAD_BYTES, wrongFormat } from '../../shared/archive/formats.ts';
import { assertJar } from '../../shared/archive/jar.ts';
import { readArchive } from '../../shared/archive/read-archive.ts';
import { isCode, TriggerDeployError } from '../../shared/errors.ts';

/** Checks a package before it is pushed, with the code by which the agent unpacks it. */

const DEPLOYABLE = /\.(?:(jar)|(deb)|(tar|tar\.gz|tgz))$/;
const NEEDED = 'a .jar, a .deb, or an archive: .tar, .tar.gz or .tgz';
const NAMED_AT_MOST = 3;

/** What to do about a name that cannot be deployed. */
const NAME_HINTS: readonly [RegExp, string][] = [
  [/\.(jar|deb|tar|tar\.gz|tgz)$/i, 'the ending must be in lower case: rename the file'],
  [/\.(war|ear)$/i, 'if `java -jar` runs it, rename it to .jar; otherwise pack it as .tar.gz'],
  [/\.zip$/i, 'pack the files as .tar.gz: unzip it, then tar -czf NAME.tar.gz -C DIRECTORY .'],
  [/\.(xz|txz|bz2|tbz2?|zst|tzst|lz4|lzma|br|Z)$/i, 'compress it with gzip instead: NAME.tar.gz'],
];

/**
 * `warn` gets what does not prevent a deployment, but may surprise.
 * @throws USAGE if the file cannot be deployed: its name, its format, its contents, or that it is not whole.
 */
export async function checkPackage(
  path: string,
  signal: AbortSignal,
  warn: (text: string) => void,
): Promise<void> {
  const handle = await open(path);
  try {
    await check({ handle, name: basename(path), signal, warn });
  } catch (error) {
    signal.throwIfAborted();
    if (!isCode(error, 'PACKAGE_INVALID', 'ARCHIVE_UNSAFE')) throw error;
    const { message, hint } = error;
    throw new TriggerDeployError('USAGE', `cannot push ${path}: ${message}`, { hint, cause: error });
  } finally {
    await handle.close();
  }
}

interface Checked {
  handle: FileHandle;
  name: string;
  signal: AbortSignal;
  warn: (text: string) => void;
}

async function check(file: Checked): Promise<void> {
  const { handle, name } = file;
  const [, jar, deb] = DEPLOYABLE.exec(name) ?? [];
  if (jar) return await assertJar(handle, name);
  const head = Buffer.alloc(HEAD_BYTES);
  const { bytesRead } = await handle.read(head, 0, HEAD_BYTES, 0);
  const format = formatOf(head.subarray(0, bytesRead));
  if (!DEPLOYABLE.test(name)) throw notDeployable(name, format);
  if (deb) {
    if (format.id !== 'deb') throw wrongFormat(name, format, 'a Debian package');
  } else await checkArchive(file, format);
}

function notDeployable(name: string, format: Format): TriggerDeployError {
  const known = NAME_HINTS.find(([pattern]) => pattern.test(name))?.[1];
  const byContents: Record<string, string> = {
    gzip: 'if it is a gzipped tar, rename it to NAME.tar.gz',
    tar: 'it is a tar: rename it to NAME.tar',
    deb: 'it is a Debian package: rename it to NAME.deb',
  };
  const hint = known ?? byContents[format.id] ?? format.hint;
  return new TriggerDeployError('PACKAGE_INVALID', `a package must be ${NEEDED}, not ${name}`, { hint });
}

async function checkArchive({ handle, name, signal, warn }: Checked, format: Format): Promise<void> {
  const gzipped = /gz$/.test(name);
  if ((format.id === 'tar' && gzipped) || (format.id === 'gzip' && !gzipped)) {
    throw wrongFormat(name, format, gzipped ? 'compressed with gzip' : 'a plain tar');
  }
  const outside = list();
  const closed = list();
  const allowsLink = (path: string, target: string) => {
    outside.add(`${path} -> ${target}`);
    return true;
  };
  await readArchive({ handle, name, signal, allowsLink }, ({ path, type, mode }) => {
    const needed = type === 'Directory' ? 0o001 : 0o004;
    if ((type === 'File' || type === 'Directory') && (mode & needed) === 0)
      closed.add(path === '' ? '.' : path);
  });
  if (outside.count > 0) {
    warn(`${outside.text()} leads outside the release: the agent's config must have it in allowLinks`);
  }
  if (closed.count > 0) {
    warn(
      `${closed.text()} cannot be read by other users than root: chmod it if the service has a user of its own`,
    );
  }
}

/** Counts names, and keeps the first few. */
function list() {
  const first: string[] = [];
  return {
    count: 0,
    add(name: string) {
      this.count += 1;
      if (first.length < NAMED_AT_MOST) first.push(JSON.stringify(name));
    },
    text() {
      const rest = this.count - first.length;
      return `${first.join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
    },
  };
}
