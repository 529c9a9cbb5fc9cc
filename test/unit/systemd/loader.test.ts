import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findProcessNow } from '../../../agent/host/process/proc.ts';
import { PUBLISHER, startProgram } from '../../support/programs.ts';

const FILES = ['package.json', 'trigger-deploy.js', 'trigger-deploy.chunks', 'trigger-deploy.chunks.map'];
const COMPILED = 'trigger-deploy.compiled';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'loader-'));
  for (const file of [...FILES, COMPILED])
    await copyFile(join(dirname(PUBLISHER), file), join(directory, file));
});
afterEach(() => rm(directory, { recursive: true }));

const start = (argv: readonly string[], nodeOptions: readonly string[] = []) =>
  startProgram([...nodeOptions, join(directory, 'trigger-deploy.js'), ...argv], { cwd: directory, env: {} })
    .finished;

/** Prints, at the end, how many scripts V8 had code for, and how many it compiled. */
const COUNT = `
const vm = require('node:vm');
const counts = { used: 0, rejected: 0, none: 0 };
const { Script } = vm;
vm.Script = class extends Script {
  constructor(source, options) {
    super(source, options);
    counts[options.cachedData === undefined ? 'none' : this.cachedDataRejected ? 'rejected' : 'used'] += 1;
  }
};
process.on('exit', () => require('node:fs').writeSync(2, JSON.stringify(counts)));
`;
async function counts(
  flags: readonly string[] = [],
): Promise<{ used: number; rejected: number; none: number }> {
  const hook = join(directory, 'count.cjs');
  await writeFile(hook, COUNT);
  const { code, stdout, stderr } = await start(['--help'], [...flags, '--require', hook]);
  expect(code).toBe(0);
  expect(stdout).toContain('Usage: trigger-deploy <service> <version>');
  return JSON.parse(stderr);
}

describe('the compiled code', () => {
  test('is used for every chunk', async () => {
    expect(await counts()).toMatchObject({ rejected: 0, none: 0 });
  });

  test.each(['systemd/publisher/trigger-deploy', 'systemd/agent/trigger-deploy-agent.service'])(
    'is used with the flags that %s gives to Node: V8 has code for other flags compiled again',
    async (file) => {
      const flags =
        /\/node( --\S+)+/
          .exec(await readFile(file, 'utf8'))?.[0]
          .split(' ')
          .slice(1) ?? [];
      expect(flags.length).toBeGreaterThan(0);
      expect(await counts(flags)).toMatchObject({ rejected: 0, none: 0 });
    },
  );

  test('may be absent', async () => {
    await rm(join(directory, COMPILED));
    expect(await counts()).toMatchObject({ used: 0, rejected: 0 });
  });

  test('of other chunks is not used', async () => {
    const file = join(directory, COMPILED);
    const bytes = await readFile(file);
    const digest = bytes.indexOf('"for":"') + '"for":"'.length;
    bytes[digest] = bytes[digest] === 0x30 ? 0x31 : 0x30;
    await writeFile(file, bytes);
    expect(await counts()).toMatchObject({ used: 0, rejected: 0 });
  });

  test('is not used where it is damaged', async () => {
    const file = join(directory, COMPILED);
    const bytes = await readFile(file);
    // Each chunk has more than 512 bytes of code.
    for (let i = Number(bytes.subarray(2, 9)) + 256; i < bytes.length; i += 512)
      bytes[i] = (bytes[i] ?? 0) ^ 0xff;
    await writeFile(file, bytes);
    expect(await counts()).toMatchObject({ used: 0, rejected: 0 });
  });

  test.each([0, 5, 100, 100_000])('may end after %d bytes', async (length) => {
    await truncate(join(directory, COMPILED), length);
    expect(await counts()).toMatchObject({ rejected: 0 });
  });
});

test.each([undefined, 0, 100])(
  'without all of its chunks (%s bytes), the program says which file is wrong',
  async (bytes) => {
    const file = join(directory, 'trigger-deploy.chunks');
    await (bytes === undefined ? rm(file) : truncate(file, bytes));
    const { code, stdout, stderr } = await start(['--version']);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(
      /^trigger-deploy: cannot read \S+\/trigger-deploy\.chunks, which is a part of the program: .+\n$/,
    );
  },
);

test('an installation that is interrupted leaves neither files nor a running program', async () => {
  const file = join(directory, 'trigger-deploy.compile.js');
  await copyFile(join(dirname(PUBLISHER), 'trigger-deploy.compile.js'), file);
  const work = join(directory, 'work');
  await mkdir(work);
  const compiling = startProgram([file], { cwd: directory, env: { TMPDIR: work } });
  const child = () =>
    readFile(`/proc/${compiling.process.pid}/task/${compiling.process.pid}/children`, 'utf8');
  await expect.poll(child, { interval: 5 }).not.toBe('');
  const pid = Number((await child()).trim());
  compiling.process.kill('SIGTERM');
  expect(await compiling.finished).toMatchObject({ code: 1, stderr: '' });
  expect(await readdir(work)).toEqual([]);
  await expect.poll(() => findProcessNow(pid)).toBeUndefined();
});

test('a program that runs can load the rest of it after an upgrade has replaced its files', async () => {
  const hook = join(directory, 'hook.cjs');
  const gone = FILES.map((file) => join(directory, file));
  await writeFile(
    hook,
    `const { rmSync } = require('node:fs');
    let opened = 0;
    const fs = require('node:fs');
    const { openSync } = fs;
    fs.openSync = (...given) => {
      const fd = openSync(...given);
      opened += 1;
      if (opened === 2) for (const file of ${JSON.stringify(gone)}) rmSync(file);
      return fd;
    };`,
  );
  const { code, stdout } = await start(['--help'], ['--require', hook]);
  expect({ code, stdout }).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('Usage: trigger-deploy'),
  });
});

test('with source maps, the stack of an error names the sources; without, the lines of the bundle', async () => {
  const hook = join(directory, 'hook.cjs');
  await writeFile(hook, "process.stdout.write = (text) => { if (text) throw new Error('a defect'); };");
  const argv = ['--help', '--verbose'];
  const mapped = await start(argv, ['--enable-source-maps', '--require', hook]);
  expect(mapped.stderr).toMatch(/shared\/output\.ts:\d+:\d+/);
  const plain = await start(argv, ['--require', hook]);
  expect(plain.stderr).toMatch(/at Object\.write .*trigger-deploy\.chunks:\d+:\d+/);
});
