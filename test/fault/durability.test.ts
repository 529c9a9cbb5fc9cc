import { join } from 'node:path';
import { expect, test } from 'vitest';
import { proved } from '../support/reliability.ts';
import { adoptionJob, journalJob, packageJob } from './support/disk/jobs.ts';
import { orderOf } from './support/disk/order.ts';
import { quickDirectory, record } from './support/disk/recording.ts';
import { traceProgram } from './support/disk/trace.ts';
import { PACKAGE_TYPES } from './support/disk/world.ts';

/** The order of writes, fsyncs and renames, as the kernel saw them (strace). */

test.each(PACKAGE_TYPES)(
  'a %s is on disk before the rename that publishes it, and the rename before the method ends',
  async (type) => {
    const root = await quickDirectory();
    const calls = await record([packageJob(type, join(root, 'opt', 'payments'))]);
    const { published, fsyncs, problems } = orderOf(calls, root);
    expect(problems).toEqual([]);
    expect(published).toBeGreaterThan(8);
    proved(
      'durability',
      `${type}: ${published} publishing renames, ${fsyncs} fsyncs, every one in its place`,
    );
  },
);

test('a release that is synced with its file system is on disk before the rename that publishes it', async () => {
  const root = await quickDirectory();
  const calls = await record([packageJob('archive', join(root, 'opt', 'payments'), 2)]);
  const { published, fsyncs, syncs, problems } = orderOf(calls, root);
  expect(problems).toEqual([]);
  expect(syncs).toBeGreaterThan(3);
  proved(
    'durability',
    `archive of many files: ${published} publishing renames, ${syncs} syncs of the file system and ${fsyncs} fsyncs, every one in its place`,
  );
});

test.each(PACKAGE_TYPES)('an adopted %s is on disk before it is published', async (type) => {
  const root = await quickDirectory();
  const { published, problems } = orderOf(await record([adoptionJob(type, root)]), root);
  expect(problems).toEqual([]);
  expect(published).toBeGreaterThan(4);
  proved('durability', `adopted ${type}: ${published} publishing renames`);
});

test('an appended state is on disk before the append ends, also when it compacts the journal', async () => {
  const root = await quickDirectory();
  const calls = await record([journalJob(join(root, 'state', 'services', 'payments.journal'))]);
  const { published, fsyncs, problems } = orderOf(calls, root);
  expect(problems).toEqual([]);
  // The first append, and the compaction.
  expect(published).toBe(2);
  proved('durability', `journal: 9 appends, 1 compaction, ${fsyncs} fsyncs`);
});

const BAD = {
  'a file that is renamed before its fsync': 'write(f); fs.renameSync(f, g); sync(root);',
  'a directory that is renamed before its own fsync':
    'fs.mkdirSync(f); sync(root); write(f + "/x"); sync(f + "/x"); fs.renameSync(f, g); sync(root);',
  'a rename whose directory is never synced': 'write(f); sync(f); fs.renameSync(f, g);',
  'an fsync of the directory that comes before the rename':
    'write(f); sync(f); sync(root); fs.renameSync(f, g);',
  'a write after the sync of the file system':
    'write(f); syncAll(root); write(f); fs.renameSync(f, g); sync(root);',
  'a rename after the sync of the file system': 'write(f); syncAll(root); fs.renameSync(f, g);',
  'a write after the fsync': 'write(f); sync(f); write(f); fs.renameSync(f, g); sync(root);',
};

test.each(Object.entries(BAD))('%s does not go unnoticed', async (_name, program) => {
  const root = await quickDirectory();
  const source = `
    const fs = require('node:fs');
    const [root, f, g] = [${JSON.stringify(root)}, ${JSON.stringify(join(root, 'f'))}, ${JSON.stringify(join(root, 'g'))}];
    const write = (path) => fs.writeFileSync(path, 'x', { flag: 'a' });
    const sync = (path) => { const fd = fs.openSync(path); fs.fsyncSync(fd); fs.closeSync(fd); };
    const syncAll = (path) => require('node:child_process').execFileSync('sync', ['-f', path]);
    ${program}
    fs.writeSync(1, 'MARK ' + JSON.stringify({ job: 0, call: 0, phase: 'end', result: null }) + '\\n');`;
  const { problems } = orderOf(await traceProgram(['-e', source]), root);
  expect(problems.length).toBeGreaterThan(0);
});

test('a sync of the file system covers files, directories and names that were made before it', async () => {
  const root = await quickDirectory();
  const source = `
    const fs = require('node:fs');
    fs.mkdirSync('${root}/d/e', { recursive: true });
    fs.writeFileSync('${root}/d/e/f', 'x');
    require('node:child_process').execFileSync('sync', ['-f', '${root}']);
    fs.writeSync(1, 'MARK ' + JSON.stringify({ job: 0, call: 0, phase: 'end', result: null }) + '\\n');`;
  expect(orderOf(await traceProgram(['-e', source]), root)).toMatchObject({ syncs: 1, problems: [] });
});
