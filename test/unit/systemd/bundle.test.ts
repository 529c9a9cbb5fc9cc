import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Bundle, bundle, PROGRAMS, type ProgramName } from '../../../systemd/bundle.ts';

const names = Object.keys(PROGRAMS) as ProgramName[];
const MB = 1_000_000;

let directory: string;
const bundles = new Map<ProgramName, Bundle>();
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bundle-'));
  for (const name of names)
    bundles.set(name, await bundle(name, { directory, version: '1.2.3', sourcemap: false }));
}, 120_000);
afterAll(() => rm(directory, { recursive: true }));

function bundleOf(name: ProgramName): Bundle {
  const found = bundles.get(name);
  if (found === undefined) throw new Error(`${name} is not bundled`);
  return found;
}

/**
 * What a program loads once it runs the chunk of each of `roots`, sorted: sources of this project by path, packages by
 * name. The chunk of its entry is always one of them.
 */
function loaded(name: ProgramName, ...roots: string[]): string[] {
  const { metafile, entry } = bundleOf(name);
  const chunkOf = (source: string) => {
    const found = Object.keys(metafile.outputs).find((one) => metafile.outputs[one]?.entryPoint === source);
    if (found === undefined) throw new Error(`${source} has no chunk of its own`);
    return found;
  };
  const chunks = new Set([entry, ...roots.map(chunkOf)]);
  for (const chunk of chunks) {
    for (const { path, kind } of metafile.outputs[chunk]?.imports ?? []) {
      if (kind === 'import-statement' && path in metafile.outputs) chunks.add(path);
    }
  }
  const sources = [...chunks].flatMap((chunk) => Object.keys(metafile.outputs[chunk]?.inputs ?? {}));
  const called = sources.map((source) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(source)?.[1] ?? source);
  return [...new Set(called)].sort();
}

describe.each(names)('the chunks of %s', (name) => {
  test('are ASCII, in lines that an error can print', async () => {
    const source = await readFile(join(directory, `${name}.chunks`));
    expect(source.find((byte) => byte > 0x7f)).toBeUndefined();
    const lines = source.toString('ascii').split('\n');
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(20_000);
  });

  test('are one script, whose value has them all', async () => {
    const text = await readFile(join(directory, `${name}.chunks`), 'utf8');
    const module = { exports: {} as Record<string, unknown> };
    new Function('module', text)(module);
    const { metafile } = bundleOf(name);
    const ids = Object.keys(metafile.outputs).filter((one) => one.endsWith('.js'));
    expect(Object.keys(module.exports).sort()).toEqual(ids.map((one) => one.slice('dist/'.length)).sort());
  });
});

describe('the size', () => {
  test.each<[ProgramName, number]>([
    // 0.3 of it is the console: its server, its page, and what both faces of a command read.
    ['trigger-deploy', 2.822],
    ['trigger-deploy-agent', 2.32],
  ])('of the chunks of %s is %d MB at most', (name, most) => {
    expect(bundleOf(name).sizes.chunks / MB).toBeLessThan(most);
    expect(bundleOf(name).sizes.chunks / MB).toBeGreaterThan(most * 0.95);
  });

  test.each(names)('of the loader of %s is 3 kB at most', (name) => {
    expect(bundleOf(name).sizes.loader).toBeLessThan(3000);
  });
});

/** What main.ts of both programs loads, besides itself. */
const ENTRY = [
  'package.json',
  'shared/clean-text.ts',
  'shared/errors.ts',
  'shared/home.ts',
  'shared/output.ts',
  'shared/unsettled.ts',
];
/** The schema of the config names the permissions. */
const PERMISSIONS = 'publisher/console/permissions.ts';
/** The row of its verb names the shells. */
const COMPLETION = 'publisher/commands/completion.ts';
const YARGS = [
  ...['ansi-styles', 'cliui', 'escalade', 'get-caller-file', 'plain:string-width', 'plain:strip-ansi'],
  ...['wrap-ansi', 'y18n', 'yargs', 'yargs-parser'],
];
const SDK = [
  ...['@aws-sdk/checksums', '@aws-sdk/client-s3', '@aws-sdk/client-sns', '@aws-sdk/client-sqs'],
  ...['@aws-sdk/core', '@aws-sdk/credential-provider-env', '@aws-sdk/credential-provider-node'],
  ...['@aws-sdk/credential-providers', '@aws-sdk/middleware-sdk-s3', '@aws-sdk/middleware-sdk-sqs'],
  ...['@aws-sdk/signature-v4-multi-region', '@aws-sdk/xml-builder', '@aws/lambda-invoke-store'],
  ...['@smithy/core', '@smithy/node-http-handler', '@smithy/signature-v4', '@smithy/types'],
];
const isPackage = (one: string) => !/^(agent|publisher|shared)\/|^package\.json$/.test(one);
const roomsOf = (program: string, all: readonly string[]) => [
  ...new Set(
    all.filter((one) => one.startsWith(program)).map((one) => one.split('/').slice(1, -1).join('/')),
  ),
];

describe('trigger-deploy', () => {
  test('loads for --version nothing but its entry', () => {
    const own = ['publisher/cli/standard-output.ts', 'publisher/main.ts'];
    expect(loaded('trigger-deploy')).toEqual([...own, ...ENTRY].sort());
  });

  test('loads for --help no SDK, no command and no config', () => {
    const all = loaded('trigger-deploy', 'publisher/cli/parse.ts');
    expect(all.filter((one) => one.startsWith('publisher/commands/'))).toEqual([COMPLETION]);
    expect(all.filter(isPackage)).toEqual([...YARGS, 'zod'].sort());
    expect(roomsOf('publisher/', all)).toEqual(['cli', 'commands', '', 'plan']);
  });

  test('loads for a command the SDK without the providers of credentials that it does not use', () => {
    const all = loaded('trigger-deploy', 'publisher/cli/parse.ts', 'publisher/cli/perform.ts');
    expect(all.filter((one) => one.startsWith('publisher/commands/'))).toEqual([COMPLETION]);
    expect(all.filter(isPackage)).toEqual([...YARGS, ...SDK, 'jose', 'yaml', 'zod'].sort());
    expect(roomsOf('publisher/', all)).toEqual(
      ['cli', 'commands', 'config', ''].concat(['console', 'plan', 'record', 'render']),
    );
    expect(all.filter((one) => /^publisher\/(console|page)\//.test(one))).toEqual([PERMISSIONS]);
  });

  test('has the files of the page, and needs nothing to build them', async () => {
    const text = await readFile(join(directory, 'trigger-deploy.chunks'), 'utf8');
    expect(text).toMatch(/path:"\/page-[0-9a-f]{16}\.js"/);
    expect(text).not.toContain('page-bundle.ts');
  });
});

describe('trigger-deploy-agent', () => {
  test('loads for --version nothing but its entry', () => {
    const own = ['agent/main.ts', 'agent/options.ts'];
    expect(loaded('trigger-deploy-agent')).toEqual([...own, ...ENTRY].sort());
  });

  test('loads for run neither yargs nor other commands nor the client of load balancers nor the upload of logs', () => {
    const all = loaded('trigger-deploy-agent', 'agent/wire-agent.ts');
    const packages = all.filter(isPackage);
    expect(packages.filter((one) => one.startsWith('@aws') || one.startsWith('@smithy'))).toEqual(
      [...SDK, '@aws-sdk/client-sts'].sort(),
    );
    for (const one of YARGS) expect(packages).not.toContain(one);
    const rooms = roomsOf('agent/', all);
    for (const room of ['commands', 'host/logs']) expect(rooms).not.toContain(room);
  });
});
