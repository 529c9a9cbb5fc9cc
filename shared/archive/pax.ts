import { DamagedTar } from './tar-header.ts';

/** The extended headers of POSIX (pax): records `LENGTH KEY=VALUE\n`. Pure. */

/** The records in order: of two with the same key, the last one counts, but sparse maps repeat their keys. */
export type PaxRecords = readonly (readonly [key: string, value: Buffer])[];

/** @throws DamagedTar unless `bytes` are whole records. */
export function parsePax(bytes: Buffer): PaxRecords {
  const records: [string, Buffer][] = [];
  for (let at = 0; at < bytes.length; ) {
    // Some writers fill the rest of the block.
    if (bytes[at] === 0 && bytes.subarray(at).every((byte) => byte === 0)) break;
    const digits = /^([1-9]\d{0,9}) /.exec(bytes.toString('latin1', at, at + 12))?.[1];
    const end = at + Number(digits);
    const equals = bytes.indexOf('=', at);
    const isWhole = digits && end <= bytes.length && bytes[end - 1] === 0x0a && equals < end && equals > at;
    if (!isWhole) throw new DamagedTar('an extended header is not readable');
    const key = bytes.toString('utf8', at + digits.length + 1, equals);
    records.push([key, Buffer.from(bytes.subarray(equals + 1, end - 1))]);
    at = end;
  }
  return records;
}

/** The last value of `key`; undefined if there is none. */
export function lastOf(records: PaxRecords, key: string): Buffer | undefined {
  return records.findLast(([name]) => name === key)?.[1];
}

/** A whole number that is not negative. @throws DamagedTar. */
export function countIn(value: Buffer | undefined): number {
  const text = value?.toString('latin1') ?? '';
  if (!/^\d{1,16}$/.test(text) || !Number.isSafeInteger(Number(text))) {
    throw new DamagedTar('an extended header has a number that is not readable');
  }
  return Number(text);
}

/** A time stamp in seconds. @throws DamagedTar. */
export function timeIn(value: Buffer): number {
  const text = value.toString('latin1');
  if (!/^-?\d{1,20}(\.\d*)?$/.test(text)) throw new DamagedTar('an extended header has a wrong time stamp');
  return Number(text);
}
