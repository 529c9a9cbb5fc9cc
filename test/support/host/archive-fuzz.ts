import { type Random, randomOf } from '../shared/random.ts';
import { compressed, damaged, damagedTar, endOf } from './archive-damage.ts';
import { base256, GNU, long, pax, type RawEntry, rawTar, V7 } from './raw-tar.ts';

/** Random archives: as programs write them, as none should, and what is left of either after damage. */

export interface FuzzCase {
  number: number;
  /** How it was made. */
  what: string;
  bytes: Buffer;
  /** It is an archive that must be unpacked: nothing in it is a reason to refuse it. */
  whole: boolean;
}

/** The case with this number: the same for the same seed, however many were made before. */
export function fuzzCase(seed: number, number: number): FuzzCase {
  const random = randomOf(seed * 1_000_003 + number * 0x9e3779b1);
  const notes: string[] = [];
  const isMean = random.chance(0.5);
  const entries = entriesOf(random, isMean, notes);
  const tar = damagedTar(random, rawTar(entries, endOf(random, notes)), notes);
  const packed = compressed(random, tar.bytes, notes);
  const bytes = random.chance(0.75) ? packed.bytes : damaged(random, packed.bytes, notes);
  const whole = !isMean && tar.whole && packed.whole && bytes === packed.bytes;
  return { number, what: notes.join(', '), bytes, whole };
}

const NAMES = [
  'a',
  'b',
  'app',
  'lib',
  'x.jar',
  'grüße',
  'with space',
  '世界',
  '-rf',
  'A',
  'back\\slash',
  '~',
];

function pathOf(random: Random): string {
  const parts = Array.from({ length: 1 + random.below(3) }, () => random.pick(NAMES));
  const prefix = random.pick(['', '', '', './', './/', 'deep/./']);
  return prefix + parts.join('/');
}

function contentsOf(random: Random): Buffer {
  switch (random.below(8)) {
    case 0:
      return Buffer.alloc(0);
    case 1:
      return Buffer.alloc(512 * (1 + random.below(4)), 'b');
    case 2:
      return Buffer.alloc(random.below(300_000), random.pick(['x', '\0', 'ustar']));
    case 3:
      return Buffer.alloc(random.chance(0.05) ? 8_000_000 : 70_000, 'z');
    default:
      return random.bytes(random.below(700));
  }
}

const MODES = [0o644, 0o600, 0o755, 0o400, 0o777, 0o640, 0o000, 0o666];

/** Entries that make sense together. `known`: what each path is so far; nothing replaces a directory by a file. */
function sensibleEntry(random: Random, known: Map<string, 'file' | 'directory'>): RawEntry[] {
  const place = random.pick(['f', 'g', 'd/f', 'd/g', 'd/e/f', 'ä/f']);
  const mode = random.pick(MODES);
  const magic = random.pick([undefined, GNU, V7]);
  const file = (path: string, body: Buffer): RawEntry[] => {
    known.set(path, 'file');
    return [{ name: path, body, mode, ...(magic && { magic }) }];
  };
  // A longer target needs a header of its own.
  const files = [...known].flatMap(([path, kind]) => (kind === 'file' && path.length <= 100 ? [path] : []));
  switch (random.below(12)) {
    case 0:
      return [{ name: random.pick(['d/', './d/', 'd/e/', 'ä/', './']), type: '5', mode: mode & 0o7777 }];
    case 1:
      return [{ name: `${place}-link`, type: '2', linkname: random.pick(['f', 'g', './x', 'missing']) }];
    case 2:
      if (files.length === 0) return file(place, contentsOf(random));
      return [{ name: `${place}-hard`, type: '1', linkname: random.pick(files), mode }];
    case 3:
      return [
        pax([['path', place]]),
        ...file(place, contentsOf(random)).map((one) => ({ ...one, name: 'fake' })),
      ];
    case 4: {
      const name = `${place}-${'n'.repeat(random.pick([90, 99, 100, 101, 200]))}`;
      return [long('L', name), ...file(name, contentsOf(random)).map((one) => ({ ...one, magic: GNU }))];
    }
    case 5: {
      const body = contentsOf(random);
      return file(place, body).map((one) => ({ ...one, size: base256(BigInt(body.length)), magic: GNU }));
    }
    case 6:
      return paxSparse(random, place);
    case 7:
      return [
        pax([
          ['comment', 'x'],
          ['SCHILY.xattr.user.x', random.bytes(20)],
        ]),
        ...file(place, contentsOf(random)),
      ];
    case 8:
      return [pax([['mtime', '1350244992.02']], 'g'), ...file(place, contentsOf(random))];
    default:
      return file(place, contentsOf(random));
  }
}

/** A sparse file in one of the three forms of extended headers. `isMean`: a last hole may have no piece behind it. */
function paxSparse(random: Random, name: string, isMean = false): RawEntry[] {
  const segments: [number, Buffer][] = [];
  let end = 0;
  for (let n = random.below(4); n >= 0; n -= 1) {
    const at = end + 512 * random.below(50);
    const bytes = Buffer.alloc(512 * (1 + random.below(3)), 'abc'[n % 3]);
    segments.push([at, bytes]);
    end = at + bytes.length;
  }
  const size = end + 512 * random.below(10);
  if (!isMean || random.chance(0.5)) segments.push([size, Buffer.alloc(0)]);
  const body = Buffer.concat(segments.map(([, bytes]) => bytes));
  const numbers = segments.flatMap(([at, bytes]) => [String(at), String(bytes.length)]);
  switch (random.below(3)) {
    case 0: {
      const pairs = segments.flatMap(([at, bytes]): [string, string][] => [
        ['GNU.sparse.offset', String(at)],
        ['GNU.sparse.numbytes', String(bytes.length)],
      ]);
      return [
        pax([['GNU.sparse.size', String(size)], ['GNU.sparse.numblocks', String(segments.length)], ...pairs]),
        { name, body },
      ];
    }
    case 1:
      return [
        pax([
          ['GNU.sparse.size', String(size)],
          ['GNU.sparse.numblocks', String(segments.length)],
          ['GNU.sparse.name', name],
          ['GNU.sparse.map', numbers.join(',')],
        ]),
        { name: './GNUSparseFile.1/x', body },
      ];
    default: {
      const map = `${[String(segments.length), ...numbers].join('\n')}\n`;
      const filled = Buffer.alloc(Math.ceil(map.length / 512) * 512);
      filled.write(map);
      return [
        pax([
          ['GNU.sparse.major', '1'],
          ['GNU.sparse.minor', '0'],
          ['GNU.sparse.name', name],
          ['GNU.sparse.realsize', String(size)],
        ]),
        { name: './GNUSparseFile.1/x', body: Buffer.concat([filled, body]) },
      ];
    }
  }
}

const LINK_TARGETS = ['a', '../a', '/etc/passwd', '../../..', 'a/../..', '', '.', 'lib/../../x', '\u0001'];
const TYPES = [
  '0',
  '1',
  '2',
  '3',
  '4',
  '5',
  '6',
  '7',
  'D',
  'S',
  'L',
  'K',
  'x',
  'X',
  'g',
  'V',
  'M',
  'N',
  'A',
  'Z',
  '\0',
];

function meanEntry(random: Random): RawEntry[] {
  const name = random.pick([
    () => pathOf(random),
    () => `../${pathOf(random)}`,
    () => `/${pathOf(random)}`,
    () => `a/../${pathOf(random)}`,
    () => random.bytes(random.below(100)),
    () => `${pathOf(random)}/`,
    () => '.release.json',
  ])();
  const body = contentsOf(random);
  const entry: RawEntry = {
    ...{
      name,
      body,
      type: random.pick(TYPES),
      mode: random.below(0o7777),
      linkname: random.pick(LINK_TARGETS),
    },
    magic: random.pick(['ustar\x0000', GNU, V7, 'ustar\x0099']),
  };
  if (random.chance(0.15)) entry.size = random.pick([0, 1, 2 ** 33 - 1, base256(-5n), base256(2n ** 70n)]);
  if (random.chance(0.05)) entry.checksum = random.pick(['wrong', 'signed'] as const);
  if (random.chance(0.1)) entry.patch = { [random.below(500)]: random.bytes(1 + random.below(12)) };
  if (random.chance(0.2)) return [pax(meanRecords(random), random.pick(['x', 'g', 'X'])), entry];
  if (random.chance(0.1)) return paxSparse(random, pathOf(random), true);
  if (random.chance(0.1)) return [long(random.pick(['L', 'K'] as const), pathOf(random)), entry];
  return [entry];
}

const KEYS = [
  ...['path', 'linkpath', 'size', 'mtime', 'uid', 'hdrcharset', 'GNU.sparse.size', 'GNU.sparse.realsize'],
  ...['GNU.sparse.major', 'GNU.sparse.minor', 'GNU.sparse.map', 'GNU.sparse.offset', 'GNU.sparse.numbytes'],
  ...['GNU.sparse.name', 'GNU.sparse.numblocks', 'GNU.dumpdir', 'SCHILY.realsize', 'GNU.volume.filename'],
];
const VALUES = ['', '0', '1', '8', '512', '-1', '99999999999', '1e9', 'a', '../a', '0,512', 'BINARY', '\0'];

function meanRecords(random: Random): [string, string | Buffer][] {
  return Array.from({ length: 1 + random.below(4) }, () => [random.pick(KEYS), random.pick(VALUES)]);
}

function entriesOf(random: Random, isMean: boolean, notes: string[]): RawEntry[] {
  const known = new Map<string, 'file' | 'directory'>();
  const entries: RawEntry[] = [{ name: 'first', body: 'first' }];
  for (let n = random.below(12); n > 0; n -= 1) {
    entries.push(...(isMean && random.chance(0.3) ? meanEntry(random) : sensibleEntry(random, known)));
  }
  // What comes twice, and what comes in another order.
  if (isMean && random.chance(0.3)) entries.push(random.pick(entries));
  if (isMean && random.chance(0.1)) entries.splice(random.below(entries.length), 1);
  notes.push(`${entries.length} ${isMean ? 'mean' : 'sensible'} headers`);
  return entries;
}
