import { type ArchiveFile, readArchive, type VisitJudged } from '../../../shared/archive/read-archive.ts';
import { openNoFollow } from '../fs/durable-files.ts';
import { assertSpace, type Space } from '../fs/space.ts';
import { createArchiveWriter } from './archive-writer.ts';

const BLOCK = 4096;

/**
 * Unpacks `archive`, a tar, plain or gzipped, into the empty directory `into`. The archive is read twice. The first
 * pass judges all entries and adds up their sizes; the second pass writes them. The files belong to the agent's user.
 * When it rejects, no write is still in progress.
 * @throws ARCHIVE_UNSAFE, PACKAGE_INVALID (not a complete tar), NO_SPACE, or the system error of a write.
 */
export async function unpack(
  archive: string,
  into: string,
  options: Pick<ArchiveFile, 'name' | 'allowsLink' | 'signal'>,
): Promise<void> {
  const handle = await openNoFollow(archive);
  try {
    const read = (visit: VisitJudged) => readArchive({ ...options, handle }, visit);
    const space: Space = { bytes: 0, inodes: 0 };
    await read(({ size }) => {
      space.bytes += Math.ceil(size / BLOCK) * BLOCK;
      space.inodes += 1;
    });
    await assertSpace(into, space, 'the unpacked archive', options.signal);
    await writeEntries(into, read);
  } finally {
    await handle.close();
  }
}

async function writeEntries(into: string, read: (visit: VisitJudged) => Promise<void>): Promise<void> {
  const { write, end } = await createArchiveWriter(into);
  try {
    await read(write);
  } catch (error) {
    // A failed write is what ended the reading, or is not worth telling beside what did.
    await end().catch(() => {});
    throw error;
  }
  await end();
}
