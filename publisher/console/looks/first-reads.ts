import { withTimeout } from '../../../shared/retry.ts';

/** The first snapshot does not wait longer than this for an environment that is slow or down, ms. */
const PATIENCE_MS = 3000;

/** Resolves when all have been read, or after `PATIENCE_MS`: who is late is shown as not read yet. Never rejects. */
export async function afterFirstReads(reads: readonly Promise<void>[]): Promise<void> {
  await withTimeout(PATIENCE_MS, async () => {
    await Promise.all(reads);
  }).catch(() => undefined);
}
