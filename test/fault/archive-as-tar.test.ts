import { execFileSync } from 'node:child_process';
import { link, mkdir, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { compared } from '../support/host/as-tar.ts';
import { base256, GNU, long, pax, type RawEntry, rawTar, V7 } from '../support/host/raw-tar.ts';
import { temporaryDirectory } from '../support/host/temporary.ts';
import { proved } from '../support/reliability.ts';

/** A release is what `tar -x` of GNU tar makes of the archive, or the archive is refused. */

async function sample(): Promise<string> {
  const source = join(await temporaryDirectory(), 'source');
  const deep = join(source, 'a'.repeat(99), 'b'.repeat(99), 'c'.repeat(99));
  await mkdir(deep, { recursive: true });
  await writeFile(join(deep, 'd'.repeat(200)), 'deep');
  await writeFile(join(source, 'n'.repeat(100)), '100');
  await writeFile(join(source, 'n'.repeat(101)), '101');
  await writeFile(join(source, 'grüße 世界 back\\slash'), 'unicode');
  await writeFile(join(source, 'A'), 'upper');
  await writeFile(join(source, 'a'), 'lower');
  await writeFile(join(source, 'empty'), '');
  await writeFile(join(source, 'block'), 'x'.repeat(512));
  await link(join(source, 'block'), join(source, 'hard'));
  await symlink('block', join(source, 'soft'));
  await link(join(source, 'soft'), join(source, 'softer'));
  await symlink('l'.repeat(150), join(source, 'long-target'));
  await mkdir(join(source, 'sticky'));
  for (const [mode, name] of [
    ['0600', 'empty'],
    ['0750', 'a'],
    ['0666', 'A'],
    ['3777', 'sticky'],
  ] as const) {
    execFileSync('chmod', [mode, join(source, name)]);
  }
  await writeFile(join(source, 'sparse'), 'begin');
  for (let n = 1; n <= 30; n += 1) {
    await truncate(join(source, 'sparse'), n * 100_000);
    await writeFile(join(source, 'sparse'), `piece ${n}`, { flag: 'a' });
  }
  await truncate(join(source, 'sparse'), 4_000_000);
  return source;
}

const FORMATS = [
  ['--format=gnu'],
  ['--format=oldgnu'],
  ['--format=pax'],
  ['--format=gnu', '--sparse'],
  ['--format=oldgnu', '--sparse'],
  ['--format=pax', '--sparse', '--sparse-version=0.0'],
  ['--format=pax', '--sparse', '--sparse-version=0.1'],
  ['--format=pax', '--sparse', '--sparse-version=1.0'],
  ['--format=gnu', '--listed-incremental=SNAPSHOT'],
  ['--format=pax', '--listed-incremental=SNAPSHOT'],
  ['--format=gnu', '--label=release'],
  ['--format=pax', '--label=release', '--pax-option=mtime:=1000000000'],
  ['--format=pax', '--pax-option=globexthdr.name=g,comment=x'],
  ['--format=gnu', '--hard-dereference'],
];

test('what GNU tar writes is unpacked as it unpacks it, in each of its formats', async () => {
  const source = await sample();
  const directory = await temporaryDirectory();
  for (const options of FORMATS) {
    const snapshot = join(await temporaryDirectory(), 'snapshot');
    const given = options.map((option) => option.replace('SNAPSHOT', snapshot));
    const bytes = execFileSync('tar', [...given, '-cf', '-', '-C', source, '.'], { maxBuffer: 1e8 });
    const { tar, agent } = await compared(directory, bytes);
    expect(tar, options.join(' ')).toBeDefined();
    expect(agent, options.join(' ')).toEqual(tar);
  }
  for (const format of ['ustar', 'v7']) {
    // These formats cannot hold the longest names; tar leaves them out and says so.
    execFileSync(
      'sh',
      ['-c', 'tar --format="$1" -cf "$2" -C "$3" . || true', '-', format, join(directory, 'x'), source],
      { stdio: 'ignore' },
    );
    const bytes = execFileSync('cat', [join(directory, 'x')], { maxBuffer: 1e8 });
    const { tar, agent } = await compared(directory, bytes);
    expect(agent, format).toEqual(tar);
  }
  proved('archive', `${FORMATS.length + 2} formats of GNU tar, each as tar -x unpacks it`);
});

const body = 'contents';
/** Unpacked exactly as by tar. */
const SAME: [string, RawEntry[]][] = [
  [
    'a file twice',
    [
      { name: 'a', body: '1' },
      { name: './a', body: '2', mode: 0o600 },
    ],
  ],
  [
    'a hard link to what is replaced later',
    [
      { name: 'a', body: '1' },
      { name: 'b', type: '1', linkname: 'a' },
      { name: 'a', body: '2' },
    ],
  ],
  [
    'a link after a file',
    [
      { name: 'a', body },
      { name: 'a', type: '2', linkname: 'b' },
    ],
  ],
  [
    'a file after a link',
    [
      { name: 'b', body },
      { name: 'a', type: '2', linkname: 'b' },
      { name: 'a', body: 'x' },
    ],
  ],
  [
    'a directory after a file',
    [
      { name: 'a', body },
      { name: 'a/', type: '5', mode: 0o755 },
      { name: 'a/x', body },
    ],
  ],
  [
    'a directory twice',
    [
      { name: 'a/', type: '5', mode: 0o700 },
      { name: 'a/x', body },
      { name: 'a/', type: '5', mode: 0o750 },
    ],
  ],
  [
    'a directory after its files',
    [
      { name: 'a/x', body },
      { name: 'a/', type: '5', mode: 0o500 },
      { name: 'a/y', body },
    ],
  ],
  [
    './ alone among files',
    [
      { name: './', type: '5', mode: 0o755 },
      { name: './/a/./b', body },
    ],
  ],
  [
    'a directory of v7',
    [
      { name: 'd/', magic: V7, mode: 0o755 },
      { name: 'd/x', body, magic: V7 },
    ],
  ],
  ['type NUL', [{ name: 'a', type: '\0', body }]],
  ['type 7', [{ name: 'a', type: '7', body }]],
  ['a prefix', [{ name: 'file', prefix: 'some/where', body }]],
  ['no prefix in the GNU format', [{ name: 'file', prefix: '12345670123', magic: GNU, body }]],
  ['a signed checksum', [{ name: 'gr\u00fc\u00df', body, checksum: 'signed' }]],
  ['numbers in base 256', [{ name: 'a', body, size: base256(8n), mtime: base256(1_600_000_000n) }]],
  ['a time before 1970', [{ name: 'a', body, mtime: base256(-1_000_000n) }]],
  ['a time in a far future', [{ name: 'a', body, mtime: base256(9_000_000_000n) }]],
  ['no time', [{ name: 'a', body, mtime: Buffer.alloc(12) }]],
  ['a size with spaces', [{ name: 'a', body, size: Buffer.from('         10 ') }]],
  [
    'pax over the header',
    [
      pax([
        ['path', 'real'],
        ['mtime', '1350244992.02'],
      ]),
      { name: 'fake', body },
    ],
  ],
  [
    'the last of two pax values',
    [
      pax([
        ['path', 'one'],
        ['path', 'two'],
      ]),
      { name: 'fake', body },
    ],
  ],
  ['pax over a long name', [long('L', 'from-l'), pax([['path', 'from-pax']]), { name: 'fake', body }]],
  ['a pax size', [pax([['size', '8']]), { name: 'a', body, size: 0 }]],
  [
    'unknown pax keys',
    [
      pax([
        ['SCHILY.xattr.user.x', Buffer.from([0, 255, 10, 61])],
        ['LIBARCHIVE.creationtime', '1'],
        ['comment', 'x'],
      ]),
      { name: 'a', body },
    ],
  ],
  [
    'a long name and a long link',
    [long('L', `d/${'n'.repeat(200)}`), long('K', 't'.repeat(200)), { type: '2', magic: GNU }],
  ],
  [
    'a long name without a NUL',
    [
      { ...long('L', 'n'.repeat(150)), body: 'n'.repeat(150) },
      { body, magic: GNU },
    ],
  ],
  ['a BOM in a name', [{ name: '\ufeffa', body }]],
  [
    'names that differ in their normal form',
    [
      { name: '\u00e9', body: '1' },
      { name: 'e\u0301', body: '2' },
    ],
  ],
  ['a global header', [pax([['comment', 'abc']], 'g'), { name: 'a', body }]],
  ['a global time', [pax([['mtime', '1000000000']], 'g'), { name: 'a', body }, { name: 'b', body }]],
  [
    'a link up, inside',
    [
      { name: 'a/b/c', type: '2', linkname: '../../x' },
      { name: 'x', body },
    ],
  ],
  [
    'a hard link to a link',
    [
      { name: 'l', type: '2', linkname: 'x' },
      { name: 'h', type: '1', linkname: './l' },
      { name: 'x', body },
    ],
  ],
  [
    'a label',
    [
      { name: 'label', type: 'V', magic: GNU },
      { name: 'a', body },
    ],
  ],
];

test('what other programs write is unpacked as by tar', async () => {
  const directory = await temporaryDirectory();
  for (const [what, entries] of SAME) {
    const { tar, agent } = await compared(directory, rawTar(entries));
    expect(tar, what).toBeDefined();
    expect(agent, what).toEqual(tar);
  }
  proved('archive', `${SAME.length} peculiarities of other programs, each as tar -x unpacks it`);
});
