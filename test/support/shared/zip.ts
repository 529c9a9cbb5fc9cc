/** Jars that need no build tool. */

/** A name, twice: in front of the contents and in the directory. */
const NAME = 'x';
/** Version 2.0, no flags, stored, 1980-01-01, checksum 0, no bytes, and a name of one byte. */
const ENTRY = `\x14${'\0'.repeat(7)}\x21${'\0'.repeat(13)}\x01\0\0\0`;
const LOCAL = `PK\x03\x04${ENTRY}${NAME}`;
const DIRECTORY = `PK\x01\x02\x14\0${ENTRY}${'\0'.repeat(14)}${NAME}`;
const END = `PK\x05\x06\0\0\0\0\x01\0\x01\0${length(DIRECTORY)}${length(LOCAL)}\0\0`;

/** A whole zip with one empty file. ASCII without a line end: it can stand in a comment of a script. */
export const ZIP = `${LOCAL}${DIRECTORY}${END}`;

/** A jar whose bytes begin with `text`. */
export const jarText = (text: string): string => `${text}${ZIP}`;

export const jarOf = (bytes: Uint8Array): Buffer => Buffer.concat([bytes, Buffer.from(ZIP, 'latin1')]);

/** A script with a zip behind it; `comment` begins a comment in its language. */
export const scriptJar = (script: string, comment = '#'): string => `${script}\n${comment}${ZIP}`;

function length(of: string): string {
  return `${String.fromCharCode(of.length)}\0\0\0`;
}
