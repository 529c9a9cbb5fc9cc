import { join } from 'node:path';
import { isCode, messageOf, TriggerDeployError } from '../../../shared/errors.ts';
import { versionName } from '../../../shared/names.ts';
import type { ManifestStore } from '../../deploy/ports.ts';
import { makeNew } from '../fs/durable-files.ts';
import type { Contents, Releases, WorkDirectories } from '../releases/releases.ts';
import { download } from './apt.ts';
import { bareVersion, inspectDeb, installed, type Known } from './dpkg.ts';

/** What `ensureUndo` needs. */
export interface UndoSource {
  service: string;
  name: string;
  acceptNoUndo: boolean;
  manifests: ManifestStore;
  releases: Releases;
  contents: Contents;
}

/**
 * Makes a rollback to the installed version possible: if this version has no release, because trigger-deploy did not
 * install it, its .deb becomes a release before the switch. The .deb comes from the bucket if this version was pushed,
 * else from apt. Returns the number of bytes downloaded from the bucket.
 * @throws UNDO_IMPOSSIBLE if neither has the .deb, unless the config has `acceptNoUndo`; NO_SPACE.
 */
export async function ensureUndo(
  source: UndoSource,
  next: string,
  note: (text: string) => void,
  signal: AbortSignal,
): Promise<number> {
  const here = await installed(source.name, signal);
  const version = bareVersion(here?.version ?? '');
  if (!here || version === next || (await source.releases.record(version))) return 0;
  note(`downloading the .deb of ${source.name} ${here.version}, for a rollback`);
  const pushed = await fromBucket(source, version, note, signal);
  if (typeof pushed === 'number') return pushed;
  const why = await fromApt(source, here, signal);
  if (why === undefined) return 0;
  if (!source.acceptNoUndo) {
    const message = `${source.name} ${here.version} was installed by other means, and its .deb is not available`;
    throw new TriggerDeployError('UNDO_IMPOSSIBLE', `${message}: this deployment could not be rolled back`, {
      detail: `${pushed}\n${why}`,
      hint: `push its .deb as ${source.service} ${version}, or set \`acceptNoUndo: true\` in the config`,
    });
  }
  note('this deployment cannot be rolled back; the config accepts that');
  return 0;
}

/** The number of bytes downloaded; a string, the reason, if the bucket cannot provide the .deb. */
async function fromBucket(
  { service, manifests, releases }: UndoSource,
  version: string,
  note: (text: string) => void,
  signal: AbortSignal,
): Promise<number | string> {
  const never = `${service} ${version} is not in the bucket: it was never pushed`;
  if (!versionName.safeParse(version).success) return never;
  try {
    const artifacts = (await manifests.read(service, version, signal))?.artifacts;
    if (!artifacts) return never;
    return (await releases.prepare({ service, version, artifacts, fresh: false }, note, signal)).downloaded;
  } catch (error) {
    signal.throwIfAborted();
    // AWS may be down, or another package may have this version in the bucket: apt may still have the .deb.
    if (isCode(error)) return error.message;
    throw error;
  }
}

/** Makes the installed version a release from apt's .deb. Returns the reason if apt cannot provide the .deb. */
async function fromApt(
  { name, releases, contents }: UndoSource,
  here: Known,
  signal: AbortSignal,
): Promise<string | undefined> {
  let why: string | undefined;
  try {
    const fill = async ({ release, scratch }: WorkDirectories) => {
      const directory = join(scratch, 'apt');
      await makeNew(directory, 0o700);
      const files = await download([`${name}=${here.version}`], directory, signal);
      if (typeof files === 'string') throw new TriggerDeployError('DOWNLOAD_FAILED', files);
      const [file = ''] = files;
      const deb = await inspectDeb(file, `the .deb of ${name} from apt`, signal);
      if (deb.name !== name || deb.version !== here.version) {
        throw new TriggerDeployError('PACKAGE_INVALID', `apt returned ${deb.name} ${deb.version}`);
      }
      await contents.copy(file, release);
    };
    await releases.add(bareVersion(here.version), fill, signal);
  } catch (error) {
    if (!isCode(error, 'DOWNLOAD_FAILED', 'PACKAGE_INVALID', 'COMMAND_FAILED')) throw error;
    signal.throwIfAborted();
    why = messageOf(error);
  }
  return why;
}
