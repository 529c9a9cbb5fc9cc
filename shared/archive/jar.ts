import type { FileHandle } from 'node:fs/promises';
import { TriggerDeployError } from '../errors.ts';
import { formatOf, HEAD_BYTES, wrongFormat } from './formats.ts';
import { isZeroBlock } from './tar-header.ts';

/** Checks a jar: at the push, and on the instance before anything is stopped. */

/** The end of a zip is within this distance of the end of the file, bytes. */
const ZIP_END = 22 + 65_535;
/** A script or a program may start itself, and have its zip behind it. Bytes that nobody knows are not judged. */
const MAY_BE_JAR = ['zip', 'script', 'elf', 'unknown'];

/**
 * Checks that the file is no other format, and if it is a zip, that it was not cut short. Reads its head and its tail.
 * `name` is for messages. @throws PACKAGE_INVALID.
 */
export async function assertJar(handle: FileHandle, name: string): Promise<void> {
  const { size } = await handle.stat();
  const head = Buffer.alloc(Math.min(size, HEAD_BYTES));
  await handle.read(head, 0, head.length, 0);
  const format = formatOf(head);
  if (!MAY_BE_JAR.includes(format.id) && !isZeroBlock(head)) throw wrongFormat(name, format, 'a jar');
  if (format.id !== 'zip') return;
  const tail = Buffer.alloc(Math.min(size, ZIP_END));
  await handle.read(tail, 0, tail.length, size - tail.length);
  if (tail.includes('PK\x05\x06', 0, 'latin1')) return;
  throw new TriggerDeployError(
    'PACKAGE_INVALID',
    `${name} is not a whole jar: the end of its zip is missing`,
    { hint: 'check that the build finished writing it: unzip -t FILE' },
  );
}
