import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { checkPackage } from '../../../../publisher/packages/check-package.ts';
import { describeFiles } from '../../../../publisher/packages/local-files.ts';
import { calm } from '../../../support/host/clock.ts';
import { tarball, tgz } from '../../../support/host/tarball.ts';
import { temporaryDirectory } from '../../../support/host/temporary.ts';
import { proved } from '../../../support/reliability.ts';
import { ZIP } from '../../../support/shared/zip.ts';

/** What cannot be deployed is refused at the push. */

const TAR = tarball([{ path: 'a', body: 'x' }]);
const EMPTY_ZIP = Buffer.concat([Buffer.from('PK\x05\x06'), Buffer.alloc(18)]);
const XZ = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 0, 0]);

async function checked(name: string, bytes: Uint8Array | string): Promise<string[]> {
  const path = join(await temporaryDirectory(), name);
  await writeFile(path, bytes);
  const warnings: string[] = [];
  await checkPackage(path, calm, (text) => warnings.push(text));
  return warnings;
}

test.each<[string, string, Uint8Array | string, string, string]>([
  ['a zip', 'a.zip', EMPTY_ZIP, 'must be a .jar', 'tar -czf'],
  ['a war', 'a.war', EMPTY_ZIP, 'must be a .jar', 'rename it to .jar'],
  ['a .tar.xz', 'a.tar.xz', XZ, 'must be a .jar', 'gzip instead'],
  ['a .tar.zst', 'a.tar.zst', zstdCompressSync(TAR), 'must be a .jar', 'gzip instead'],
  ['an ending in upper case', 'a.TGZ', gzipSync(TAR), 'not a.TGZ', 'lower case'],
  ['a jar in upper case', 'a.JAR', EMPTY_ZIP, 'not a.JAR', 'lower case'],
  ['no ending', 'app-1.0', gzipSync(TAR), 'not app-1.0', 'rename it to NAME.tar.gz'],
  ['xz named tar.gz', 'a.tar.gz', XZ, 'compressed with xz, which is not supported', 'gzip instead'],
  ['bzip2 named tar', 'a.tar', 'BZh91AY', 'compressed with bzip2', 'gzip instead'],
  ['zstd named tar.gz', 'a.tar.gz', zstdCompressSync(TAR), 'compressed with zstd', 'gzip instead'],
  ['four bytes of zstd', 'a.tar.gz', Buffer.from([0x28, 0xb5, 0x2f, 0xfd]), 'compressed with zstd', 'gzip'],
  ['a zip named tar.gz', 'a.tar.gz', EMPTY_ZIP, 'is a zip', 'tar -czf'],
  ['a page of HTML', 'a.jar', '<!DOCTYPE html><html>', 'page of HTML', 'login'],
  [
    'a pointer of Git LFS',
    'a.jar',
    'version https://git-lfs.github.com/spec/v1\n',
    'Git LFS',
    'git lfs pull',
  ],
  ['a plain tar named tgz', 'a.tgz', TAR, 'is a tar, not compressed', 'must agree'],
  ['a gzipped tar named tar', 'a.tar', gzipSync(TAR), 'compressed with gzip, not a plain tar', 'must agree'],
  ['a tar named jar', 'a.jar', TAR, 'is a tar, not a jar', 'must agree'],
  ['a jar that was cut short', 'a.jar', 'PK\x03\x04 and no end', 'not a whole jar', 'unzip -t'],
  ['a script that is no jar', 'a.jar', '#!/bin/sh\n', 'is no jar: it is not a zip', 'unzip -t'],
  ['text named jar', 'a.jar', 'no jar', 'is no jar: it is not a zip', 'into an archive: tar -czf'],
  ['zeros named jar', 'a.jar', Buffer.alloc(1000), 'is no jar: it is not a zip', 'unzip -t'],
  [
    'a jar that was cut short behind a jar within it',
    'a.jar',
    `PK\x03\x04 the first file ${ZIP}PK\x03\x04 cut`,
    'not a whole jar',
    'unzip -t',
  ],
  ['a deb that is none', 'a.deb', '!<arch>\nother/', 'ar archive', 'tar -czf'],
  ['a tar that was cut short', 'a.tar', TAR.subarray(0, 1024), 'end mark is missing', 'tar -tf'],
  ['a gzip that was cut short', 'a.tgz', gzipSync(TAR).subarray(0, -4), 'damaged or cut short', 'tar -tf'],
  ['a gzip of something else', 'a.tgz', gzipSync(EMPTY_ZIP), 'is not a complete tar', 'tar -tf'],
  ['an absolute name', 'a.tgz', tgz([{ path: '/etc/x', body: '' }]), 'is an absolute path', ''],
  ['text', 'a.tgz', 'no tar at all', 'neither a tar nor compressed', 'tar -czf'],
])('%s is refused at the push, with what to do', async (_what, name, bytes, why, hint) => {
  const error = await checked(name, bytes).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: 'USAGE', message: expect.stringContaining(why) });
  expect(String((error as { hint?: string }).hint ?? '')).toContain(hint);
  proved('push', 'files of other formats, cut short, and with unsafe names');
});

const LONGEST_COMMENT = Buffer.alloc(65_535, 'c');
const COMMENTED = Buffer.concat([Buffer.from(ZIP.slice(0, -2)), Buffer.from([0xff, 0xff]), LONGEST_COMMENT]);
const ZIP64 = Buffer.concat([
  Buffer.from(`PK\x03\x04${'.'.repeat(99)}PK\x06\x07`),
  Buffer.alloc(16, 1),
  EMPTY_ZIP,
]);

test.each<[string, string, Uint8Array | string]>([
  ['a jar', 'a.jar', ZIP],
  ['a jar without a file', 'a.jar', EMPTY_ZIP],
  ['a jar that begins with a script', 'a.jar', `#!/bin/sh\nexec java -jar "$0"\n${ZIP}`],
  ['a jar that begins with a program', 'a.jar', `\x7fELF program ${ZIP}`],
  ['a jar that begins with other bytes', 'a.jar', `MZ program ${ZIP}`],
  ['a jar with the longest comment', 'a.jar', COMMENTED],
  ['a jar to which something was appended', 'a.jar', `${ZIP}a signature`],
  ['a jar of more than 65,535 files', 'a.jar', ZIP64],
  ['a jar within a jar', 'a.jar', ZIP.replace('PK\x01', `${ZIP}PK\x01`)],
  ['a tar', 'a.tar', TAR],
  ['a gzipped tar', 'a.tar.gz', gzipSync(TAR)],
])('%s is accepted without a warning', async (_what, name, bytes) => {
  expect(await checked(name, bytes)).toEqual([]);
  proved('push', 'jars with a script, a program, a comment or a signature around them are accepted');
});

test('links to the outside and files that only root could read are warnings', async () => {
  const warnings = await checked(
    'a.tgz',
    tgz([
      { path: 'key.pem', mode: 0o600, body: 'secret' },
      { path: 'conf', type: 'SymbolicLink', linkpath: '/etc/payments' },
    ]),
  );
  expect(warnings).toEqual([
    expect.stringMatching(/"conf -> \/etc\/payments" .*allowLinks/),
    expect.stringMatching(/"key.pem" cannot be read by other users than root/),
  ]);
});

test('a config file is pushed with its mode, and one that only root could read is a warning', async () => {
  const directory = await temporaryDirectory();
  const [jar, config] = [join(directory, 'a.jar'), join(directory, 'secret.env')];
  await writeFile(jar, EMPTY_ZIP);
  await writeFile(config, 'KEY=1\n');
  await chmod(config, 0o600);
  const warnings: string[] = [];
  const files = await describeFiles([jar], [config], calm, (text) => warnings.push(text));
  expect(files.map(({ artifact }) => artifact.mode)).toEqual([undefined, 0o600]);
  expect(warnings).toEqual([expect.stringContaining('secret.env keeps its mode 0600')]);
});
