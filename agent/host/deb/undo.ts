import { join } from 'node:path';
import { isCode, messageOf, TriggerDeployError } from '../../../shared/errors.ts';
import { versionName } from '../../../shared/names.ts';
import type { ManifestStore } from '../../deploy/ports.ts';
import { makeNew } from '../fs/durable-files.ts';
import type { Contents, Releases } from '../releases/releases.ts';
import { download } from './apt.ts';
import { bareVersion, inspectDeb, installed, type Known } from './dpkg.ts';

/**
 * The way back of a first deploy: where dpkg has the package by other means, its .deb becomes a release before
 * anything is switched. Pushed under that version it comes from the bucket; otherwise from apt.
 */
export interface UndoSource {
  service: string;
  name: string;
  acceptNoUndo: boolean;
  manifests: ManifestStore;
  releases: Releases;
  contents: Contents;
}

/** @throws UNDO_IMPOSSIBLE, unless the config accepts that; DOWNLOAD_FAILED. */
export async function ensureUndo(
  source: UndoSource,
  next: string,
  note: (text: string) => void,
  signal: AbortSignal,
): Promise<number> {
  const here = await installed(source.name, signal);
  const version = bareVersion(here?.version ?? '');
  if (!here || version === next || (await source.releases.record(version))) return 0;
  note(`getting the .deb of ${source.name} ${here.version}, for the way back`);
  const pushed = await fromBucket(source, version, note, signal);
  if (typeof pushed === 'number') return pushed;
  const why = await fromApt(source, here, signal);
  if (why === undefined) return 0;
  if (!source.acceptNoUndo) {
    const message = `${source.name} ${here.version} was installed by other means, and its .deb cannot be had`;
    throw new TriggerDeployError('UNDO_IMPOSSIBLE', `${message}: this deploy could not be undone`, {
      detail: `${pushed}\n${why}`,
      hint: `push its .deb as ${source.service} ${version}, or say \`acceptNoUndo: true\` in the config`,
    });
  }
  note('this deploy cannot be undone, and the config accepts that');
  return 0;
}

/** Bytes downloaded; a string says why it cannot be had there. */
async function fromBucket(
  { service, manifests, releases }: UndoSource,
  version: string,
  note: (text: string) => void,
  signal: AbortSignal,
): Promise<number | string> {
  const never = `${service} ${version} was never pushed`;
  if (!versionName.safeParse(version).success) return never;
  try {
    const artifacts = (await manifests.read(service, version, signal))?.artifacts;
    if (!artifacts) return never;
    return (await releases.prepare({ service, version, artifacts, fresh: false }, note, signal)).downloaded;
  } catch (error) {
    signal.throwIfAborted();
    // The cloud may be away, or another package may have been pushed under that version: apt may still have it.
    if (isCode(error)) return error.message;
    throw error;
  }
}

/** Why it could not be had; undefined where it is a release now. */
async function fromApt(
  { name, releases, contents }: UndoSource,
  here: Known,
  signal: AbortSignal,
): Promise<string | undefined> {
  let why: string | undefined;
  try {
    await releases.add(bareVersion(here.version), async ({ release, scratch }) => {
      const directory = join(scratch, 'apt');
      await makeNew(directory, 0o700);
      const files = await download([`${name}=${here.version}`], directory, signal);
      if (typeof files === 'string') throw new TriggerDeployError('DOWNLOAD_FAILED', files);
      const [file = ''] = files;
      const deb = await inspectDeb(file, `what apt has of ${name}`, signal);
      if (deb.name !== name || deb.version !== here.version) {
        throw new TriggerDeployError('PACKAGE_INVALID', `apt gave ${deb.name} ${deb.version}`);
      }
      await contents.copy(file, release);
    });
  } catch (error) {
    if (!isCode(error, 'DOWNLOAD_FAILED', 'PACKAGE_INVALID', 'COMMAND_FAILED')) throw error;
    signal.throwIfAborted();
    why = messageOf(error);
  }
  return why;
}
