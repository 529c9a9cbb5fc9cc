import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { byAgent, compared, type Tree } from '../../../support/host/as-tar.ts';
import { base256, GNU, long, pax, type RawEntry, rawTar } from '../../../support/host/raw-tar.ts';
import { temporaryDirectory } from '../../../support/host/temporary.ts';
import { proved } from '../../../support/reliability.ts';

/** Archives that are not whole, or hold what a release must not: each is refused with its reason. */

const body = 'contents';

async function unpacked(directory: string, bytes: Buffer): Promise<Tree | string> {
  const archive = join(directory, 'archive');
  await writeFile(archive, bytes);
  return await byAgent(archive, join(directory, 'agent'));
}

/** Refused by the agent, whatever tar does; with a word of the message. */
const REFUSED: [string, RawEntry[]][] = [
  [
    'sparse map that is not readable',
    [
      pax([
        ['GNU.sparse.major', '1'],
        ['GNU.sparse.minor', '0'],
        ['GNU.sparse.realsize', '8'],
      ]),
      { name: 'a', body: `1\n${'0'.repeat(2000)}\n8\n` },
    ],
  ],
  ['is a FIFO', [{ name: 'a', type: '6' }]],
  ['is a CharacterDevice', [{ name: 'a', type: '3' }]],
  ['is a BlockDevice', [{ name: 'a', type: '4' }]],
  ['another volume', [{ name: 'a', type: 'M', magic: GNU, body }]],
  ['of an unknown type, "Z"', [{ name: 'a', type: 'Z', body }]],
  ['list of long names', [{ name: 'a', type: 'N', body }]],
  ['access control list', [{ name: 'a', type: 'A', body }]],
  ['is a Directory with contents', [{ name: 'a', type: '5', body }]],
  ['is a SymbolicLink with contents', [{ name: 'a', type: '2', linkname: 'x', body }]],
  ['is a Link with contents', [{ name: 'x' }, { name: 'a', type: '1', linkname: 'x', body }]],
  ['an absolute path', [{ name: '/a', body }]],
  ['".." in its path', [{ name: 'a/../../b', body }]],
  ['control characters', [{ name: 'a\nb', body }]],
  ['control characters', [pax([['path', 'a\0b']]), { body }]],
  ['not UTF-8', [{ name: Buffer.from([0x61, 0xff]), body }]],
  ['has no name', [{ name: '', body }]],
  ['an empty path', [pax([['path', '']]), { name: 'a', body }]],
  ['negative size', [{ name: 'a', size: base256(-1n) }]],
  ['out of range', [{ name: 'a', size: base256(2n ** 70n) }]],
  ['unpacks to more than', [{ name: 'a', size: base256(2n ** 50n) }]],
  ['unpacks to more than', [pax([['size', '9000000000000000']]), { name: 'a' }]],
  ['number that is not readable', [pax([['size', '-5']]), { name: 'a' }]],
  ['number that is not readable', [pax([['size', '1e9']]), { name: 'a' }]],
  ['not a number', [{ name: 'a', size: Buffer.from('what is it?') }]],
  [
    'wrong checksum',
    [
      { name: 'a', body },
      { name: 'b', body, checksum: 'wrong' },
    ],
  ],
  ['two extended headers', [pax([['path', 'a']]), pax([['path', 'b']]), { body }]],
  ['global header with path', [pax([['path', 'a']], 'g'), { body }]],
  ['not readable', [{ name: 'x', type: 'x', body: 'what is it?' }, { body }]],
  ['not readable', [{ name: 'x', type: 'x', body: '99 path=a\n' }, { body }]],
  ['ends after an extended header', [{ name: 'a', body }, pax([['path', 'b']])]],
  ['ends after an extended header', [{ name: 'a', body }, long('L', 'b')]],
  ['a long name that is longer', [{ ...long('L', 'dir/file'), size: 4 }, { body }]],
  [
    'a long name that is longer',
    [
      { ...long('K', 'dir/file'), size: 4 },
      { name: 'a', type: '2' },
    ],
  ],
  ['an extended header of', [{ name: 'x', type: 'x', size: 0o7777777 }]],
  [
    'unknown version',
    [
      pax([
        ['GNU.sparse.major', '2'],
        ['GNU.sparse.realsize', '8'],
      ]),
      { body },
    ],
  ],
  [
    'wrong sparse map',
    [
      pax([
        ['GNU.sparse.size', '4'],
        ['GNU.sparse.map', '0,8'],
      ]),
      { body },
    ],
  ],
  [
    'does not fit',
    [
      pax([
        ['GNU.sparse.size', '4'],
        ['GNU.sparse.map', '0,4'],
      ]),
      { body },
    ],
  ],
  [
    'a sparse map that ends before its file',
    [
      pax([
        ['GNU.sparse.size', '99'],
        ['GNU.sparse.map', '0,8'],
      ]),
      { body },
    ],
  ],
  ['SCHILY.realsize', [pax([['SCHILY.realsize', '99']]), { body }]],
  ['is setuid', [{ name: 'a', mode: 0o4755, body }]],
  [
    'replaces a directory',
    [
      { name: 'a/', type: '5' },
      { name: 'a', body },
    ],
  ],
  [
    'which is a link',
    [
      { name: 'a', type: '2', linkname: '.' },
      { name: 'a/x', body },
    ],
  ],
  ['invalid target', [{ name: 'a', type: '2' }]],
  ['contains no files', [{ name: 'a/', type: '5' }]],
];

test('what is not understood refuses the archive: nothing is dropped, renamed or invented', async () => {
  const directory = await temporaryDirectory();
  for (const [why, entries] of REFUSED) {
    const good = why === 'contains no files' ? [] : [{ name: 'good', body }];
    const agent = await unpacked(directory, rawTar([...good, ...entries]));
    expect(agent, why).toContain(why);
  }
  proved('archive', `${REFUSED.length} kinds of entries, each refused with its reason`);
});

test('an archive that is cut short at any byte is refused, plain and compressed', async () => {
  const directory = await temporaryDirectory();
  const tar = rawTar([
    pax([['path', 'long']]),
    { body: 'x'.repeat(600) },
    long('L', 'other'),
    { body, magic: GNU },
  ]);
  const zipped = gzipSync(tar);
  const members = Buffer.concat([gzipSync(tar.subarray(0, 700)), gzipSync(tar.subarray(700))]);
  for (const [what, bytes, step] of [
    ['tar', tar, 97],
    ['gzip', zipped, 1],
    ['two gzip members', members, 3],
  ] as const) {
    for (let length = 0; length < bytes.length; length += step) {
      const agent = await unpacked(directory, bytes.subarray(0, length));
      expect(agent, `${what}, ${length} of ${bytes.length} bytes`).toContain('PACKAGE_INVALID');
    }
    const { tar: expected, agent } = await compared(directory, bytes);
    expect(agent, what).toEqual(expected);
  }
});

test('long maps of sparse files are read in time that grows with their length', async () => {
  const map = `16383\n${'0000000000000000\n'.repeat(2 * 16_383)}`;
  const stored = map.padEnd(Math.ceil(map.length / 512) * 512, '\0');
  const entries = ['a', 'b', 'c', 'd'].flatMap((name) => [
    pax([
      ['GNU.sparse.major', '1'],
      ['GNU.sparse.minor', '0'],
      ['GNU.sparse.name', name],
      ['GNU.sparse.realsize', '0'],
    ]),
    { name, body: stored },
  ]);
  const before = process.cpuUsage();
  const tree = await unpacked(await temporaryDirectory(), rawTar(entries));
  const { user } = process.cpuUsage(before);
  expect(Object.keys(tree)).toEqual(['.', 'a', 'b', 'c', 'd']);
  // Eight maps are read, half a megabyte each. With all lines split again for each block this took 28 s.
  expect(user / 1e6).toBeLessThan(10);
});
