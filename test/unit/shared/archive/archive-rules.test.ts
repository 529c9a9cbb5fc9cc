import { posix } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createArchiveJudge, type EntryHeader, linksTo } from '../../../../shared/archive/archive-rules.ts';

const LIMITS = { entries: 100, bytes: 1000, reserved: '.release.json', allowsLink: () => false };
const file = (path: string, more: Partial<EntryHeader> = {}): EntryHeader => ({
  path,
  type: 'File',
  mode: 0o644,
  size: 0,
  linkpath: '',
  ...more,
});
const link = (path: string, linkpath: string) => file(path, { type: 'SymbolicLink', linkpath });
const hardlink = (path: string, linkpath: string) => file(path, { type: 'Link', linkpath });
const directory = (path: string) => file(path, { type: 'Directory', mode: 0o755 });

function judgeAll(entries: readonly EntryHeader[], limits = LIMITS): string[] {
  const { judge } = createArchiveJudge(limits);
  return entries.map((entry) => judge(entry).path);
}

test('an ordinary archive passes, with normalised names', () => {
  expect(
    judgeAll([
      directory('./'),
      directory('./bin/'),
      file('./bin//run', { mode: 0o755 }),
      file('lib/a..b.jar'),
      link('lib/current.jar', 'a..b.jar'),
      link('bin/lib', '../lib'),
      link('top', '.'),
      hardlink('lib/again.jar', './lib/a..b.jar'),
    ]),
  ).toEqual(['', 'bin', 'bin/run', 'lib/a..b.jar', 'lib/current.jar', 'bin/lib', 'top', 'lib/again.jar']);
});

test.each<[string, EntryHeader[]]>([
  ['is an absolute path', [file('/etc/passwd')]],
  ['has ".." in its path', [file('../outside')]],
  ['has ".." in its path', [file('a/../../outside')]],
  ['has ".." in its path', [directory('..')]],
  ['outside the release', [link('a', '/etc')]],
  ['outside the release', [link('a', '..')]],
  ['outside the release', [link('a/b', '../../etc')]],
  ['outside the release', [link('a/b', './../../etc')]],
  ['is a link with an invalid target', [link('a', '')]],
  ['its target is an absolute path', [hardlink('a', '/etc/passwd')]],
  ['its target has ".." in its path', [hardlink('a', '../x')]],
  ['is a hard link to "later", which is not an earlier file', [hardlink('a', 'later'), file('later')]],
  ['is a hard link to itself', [file('a'), hardlink('a', './a')]],
  ['leads outside the release from there', [link('d/e/l', '../..'), hardlink('d/l', 'd/e/l')]],
  ['has ".." after a name', [link('d/l', 'x/../y')]],
  ['is a hard link to "d", which is not an earlier file', [directory('d'), hardlink('a', 'd')]],
  ['is inside a, which is a link and not a directory', [link('a', 'b'), file('a/x')]],
  ['is inside a, which is a file and not a directory', [file('a'), file('a/x')]],
  ['replaces a directory', [file('a/x'), link('a', 'b')]],
  ['replaces a directory', [directory('a'), file('a')]],
  ['is a CharacterDevice', [file('null', { type: 'CharacterDevice' })]],
  ['is a BlockDevice', [file('sda', { type: 'BlockDevice' })]],
  ['is a FIFO', [file('pipe', { type: 'FIFO' })]],
  ['is setuid or setgid', [file('su', { mode: 0o4755 })]],
  ['is setuid or setgid', [file('sg', { mode: 0o2755 })]],
  ['is setuid or setgid', [file('a'), hardlink('sg', 'a'), file('b', { mode: 0o6755 })]],
  ['has control characters in its name', [file('a\nb')]],
  ['has control characters in its name', [file('a\u001b[2J')]],
  ['has a name that is too long', [file('x'.repeat(256))]],
  ['has a path that is too long', [file(Array(300).fill('abcd').join('/'))]],
  ['unpacks to more than 1000 bytes', [file('a', { size: 600 }), file('b', { size: 600 })]],
  ['has an invalid size', [file('a', { size: -1 })]],
  [
    'exceeds the limit of 100 directories without an entry',
    [file(`a/${'b/'.repeat(60)}x`), file(`c/${'d/'.repeat(60)}x`)],
  ],
  ['exceeds the limit of 100 entries', Array.from({ length: 101 }, (_, n) => file(`f${n}`))],
  ["has the name of the agent's release record", [file('.release.json')]],
  ["has the name of the agent's release record", [file('./.release.json/x')]],
  ['replaces the release directory itself', [link('.', 'x')]],
])('refused: %s', (why, entries) => {
  expect(() => judgeAll(entries)).toThrow(
    expect.objectContaining({ code: 'ARCHIVE_UNSAFE', message: expect.stringContaining(why) }),
  );
});

test('a link that leads outside through another link is rejected', () => {
  expect(() => judgeAll([link('p/q/up', '../..'), link('out', 'p/q/up/..')])).toThrow(
    'has ".." after a name',
  );
});

test('names that differ in case are two names', () => {
  expect(judgeAll([file('A'), file('a')])).toEqual(['A', 'a']);
});

test('the error names the entry, safe to print', () => {
  expect(() => judgeAll([file('/x\u001b[31m')])).toThrow(/"\/x\\u001b\[31m"/);
  expect(() => judgeAll([file('/x\u009b31m\u007f')])).toThrow(/"\/x\\u009b31m\\u007f"/);
});

test('no accepted link leads outside, whatever other links it passes through', () => {
  const part = fc.constantFrom('a', 'b', '..', '.', '');
  const path = fc.array(part, { minLength: 1, maxLength: 5 }).map((parts) => parts.join('/'));
  fc.assert(
    fc.property(fc.array(fc.tuple(path, path), { maxLength: 6 }), (links) => {
      const tree = new Map<string, string>();
      const { judge } = createArchiveJudge(LIMITS);
      for (const [from, to] of links) {
        try {
          const name = judge(link(from, to)).path;
          tree.set(name, to);
        } catch {
          // Refused: it is not there.
        }
      }
      for (const name of tree.keys()) expect(escapes(tree, name)).toBe(false);
    }),
    { numRuns: 2000 },
  );
});

/** Resolves a path as the kernel does, link by link; returns whether it ever leaves the root. */
function escapes(links: ReadonlyMap<string, string>, start: string): boolean {
  const rest = start.split('/');
  const at: string[] = [];
  for (let steps = 0; rest.length > 0 && steps < 1000; steps += 1) {
    const part = rest.shift();
    if (part === undefined || part === '' || part === '.') continue;
    if (part === '..') {
      if (at.length === 0) return true;
      at.pop();
      continue;
    }
    const target = links.get(posix.join(...at, part));
    if (target === undefined) at.push(part);
    else if (target.startsWith('/')) return true;
    else rest.unshift(...target.split('/'));
  }
  return false;
}

test.each<[string, EntryHeader[], boolean[]]>([
  ['a directory twice', [directory('a'), file('a/x'), directory('a/')], [false, false, false]],
  ['a file twice', [file('a'), file('./a')], [false, true]],
  ['a link after a file', [file('a'), link('a', 'b')], [false, true]],
  ['a directory after a file', [file('a'), directory('a'), file('a/x')], [false, true, false]],
  ['a hard link to a link', [link('l', 'x'), hardlink('a', 'l')], [false, false]],
  ['a setgid and sticky directory', [file('d', { type: 'Directory', mode: 0o3775 })], [false]],
])('accepted: %s', (_what, entries, replaces) => {
  const { judge } = createArchiveJudge(LIMITS);
  expect(entries.map((entry) => judge(entry).replaces)).toEqual(replaces);
});

test('a link to the outside is accepted only where the config allows its target, or a place above it', () => {
  const allowsLink = linksTo(['/etc/payments', '../../shared'], '/opt/payments/releases/1');
  const accepted = (path: string, target: string) => {
    try {
      createArchiveJudge({ ...LIMITS, allowsLink }).judge(link(path, target));
      return true;
    } catch (error) {
      expect(error).toMatchObject({ code: 'ARCHIVE_UNSAFE' });
      return false;
    }
  };
  expect(accepted('conf', '/etc/payments')).toBe(true);
  expect(accepted('conf', '/etc//payments/./a.yml')).toBe(true);
  expect(accepted('log', '../../shared/log')).toBe(true);
  expect(accepted('a/b/log', '../../../../shared')).toBe(true);
  expect(accepted('log', '/opt/payments/shared')).toBe(true);
  expect(accepted('conf', '/etc/payments-2')).toBe(false);
  expect(accepted('conf', '/etc/payments/../shadow')).toBe(false);
  expect(accepted('conf', '/etc')).toBe(false);
  expect(accepted('conf', '/')).toBe(false);
  expect(accepted('log', '../../shared2')).toBe(false);
  expect(accepted('log', '../shared')).toBe(false);
  expect(accepted('a/log', '../../shared')).toBe(false);
  expect(accepted('log', '../../shared/../../../etc')).toBe(false);
});

test('the refusal of a link to the outside names the setting that allows it', () => {
  expect(() => judgeAll([link('conf', '/etc/payments')])).toThrow(
    expect.objectContaining({ hint: expect.stringContaining('allowLinks') }),
  );
});

test('no file is written through an allowed link', () => {
  const { judge } = createArchiveJudge({ ...LIMITS, allowsLink: () => true });
  judge(link('conf', '/etc/payments'));
  expect(() => judge(file('conf/x'))).toThrow('is inside conf, which is a link');
  expect(() => judge(directory('conf/x/y'))).toThrow('is inside conf, which is a link');
});
