import type { FileHandle } from 'node:fs/promises';
import { TriggerDeployError } from '../errors.ts';
import { formatOf, HEAD_BYTES, wrongFormat } from './formats.ts';
import { isZeroBlock } from './tar-header.ts';

/** Checks a jar: at the push, and on the instance before anything is stopped. */

/** The record that ends a zip: its length without the comment behind it, and the longest comment, bytes. */
const END_BYTES = 22;
const COMMENT_BYTES = 65_535;
const END = 'PK\x05\x06';
/** What a zip of more than 4 GB or 65,535 entries has right before its end record. */
const ZIP64_LOCATOR = 'PK\x06\x07';
const ZIP64_LOCATOR_BYTES = 20;
/** A script or a program may start itself, and have its zip behind it. */
const MAY_BE_JAR = ['zip', 'script', 'elf', 'unknown'];

/**
 * Checks that the file is a zip that was not cut short, possibly with a script or a program in front. Reads its head and
 * its tail. `name` is for messages. @throws PACKAGE_INVALID.
 */
export async function assertJar(handle: FileHandle, name: string): Promise<void> {
  const { size } = await handle.stat();
  const head = await bytesAt(handle, 0, Math.min(size, HEAD_BYTES));
  const format = formatOf(head);
  if (!MAY_BE_JAR.includes(format.id) && !isZeroBlock(head)) throw wrongFormat(name, format, 'a jar');
  const tailBytes = Math.min(size, END_BYTES + COMMENT_BYTES);
  if (hasEnd(await bytesAt(handle, size - tailBytes, tailBytes), size)) return;
  const isCut = format.id === 'zip';
  throw new TriggerDeployError(
    'PACKAGE_INVALID',
    isCut
      ? `${name} is not a whole jar: the end of its zip is missing`
      : `${name} is no jar: it is not a zip, nor a script with a zip behind it`,
    {
      hint: isCut
        ? 'check that the build finished writing it: unzip -t FILE'
        : 'check it: unzip -t FILE; a program that is no jar goes into an archive: tar -czf NAME.tar.gz FILE',
    },
  );
}

/**
 * Whether a file of `size` bytes that ends with `tail` has the record that ends a zip. The record of a jar within the
 * jar, which is the last one where a jar was cut short, is not taken for it.
 */
function hasEnd(tail: Buffer, size: number): boolean {
  let at = tail.lastIndexOf(END, -END_BYTES, 'latin1');
  while (at >= 0 && !isEnd(tail, at, size)) at = at === 0 ? -1 : tail.lastIndexOf(END, at - 1, 'latin1');
  return at >= 0;
}

function isEnd(tail: Buffer, at: number, size: number): boolean {
  const commentBytes = tail.readUInt16LE(at + 20);
  if (at + END_BYTES + commentBytes === tail.length) return true;
  // Something was appended behind it: then its directory must be where the file itself has it.
  const locator = at - ZIP64_LOCATOR_BYTES;
  if (locator >= 0 && tail.toString('latin1', locator, locator + 4) === ZIP64_LOCATOR) return true;
  const directoryEnd = tail.readUInt32LE(at + 12) + tail.readUInt32LE(at + 16);
  return directoryEnd === size - tail.length + at;
}

async function bytesAt(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  await handle.read(bytes, 0, length, position);
  return bytes;
}
