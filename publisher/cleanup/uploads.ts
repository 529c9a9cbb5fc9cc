import { artifactName, keys, serviceName, sha256Hex, versionName } from '../../shared/names.ts';
import { mapLimit } from '../record/map-limit.ts';
import type { Cleaner } from './aws-cleaner.ts';
import { collect, type GcContext } from './finding.ts';

/** Ends the uploads of pushes that were killed: S3 keeps their parts, and charges for them, until somebody does. */

const DELETES = 8;
/** An upload takes less than this, ms. */
const OLD_MS = 24 * 3_600_000;

export async function cleanUploads(context: GcContext, cleaner: Cleaner): Promise<void> {
  const { clock } = context.session;
  const prefix = context.service === undefined ? keys.versions() : keys.artifacts(context.service);
  const uploads = await cleaner.listUploads(prefix);
  await mapLimit(uploads, DELETES, async (upload) => {
    const ageMs = clock.now() - upload.startedAt;
    if (ageMs < OLD_MS || !isArtifactKey(upload.key)) return;
    const why = 'its push was killed';
    await collect(context, { kind: 'uploads', name: upload.key, why, ageMs }, async () => {
      await cleaner.abortUpload(upload);
      return undefined;
    });
  });
}

/** Whether the key is that of a file of a version. */
function isArtifactKey(key: string): boolean {
  const [service = '', version = '', sha256 = '', name = '', ...more] = key
    .slice(keys.versions().length)
    .split('/');
  return (
    key.startsWith(keys.versions()) &&
    more.length === 0 &&
    [
      serviceName.safeParse(service),
      versionName.safeParse(version),
      sha256Hex.safeParse(sha256),
      artifactName.safeParse(name),
    ].every(({ success }) => success)
  );
}
