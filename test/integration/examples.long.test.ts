import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { access, chmod, cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { create } from 'tar';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { runWorkflow } from '../support/examples/run-workflow.ts';
import { type Fleet, type Instance, sampleService, startFleet } from '../support/fleet/fleet.ts';
import { PUBLISHER } from '../support/programs.ts';

/** The examples of Jenkins and GitHub Actions, run step by step against real agents of dev and prd. */

/** Uploaded in several parts, bytes: the first is reported while others are under way. */
const LARGE = 40 * 1024 * 1024;
const PRD_BUCKET = 'acme-deploys-prd';
const example = (path: string) => fileURLToPath(new URL(`../../examples/${path}`, import.meta.url));
const PIPELINE = fileURLToPath(new URL('../support/examples/run-pipeline.groovy', import.meta.url));

let fleet: Fleet;
let inDev: Instance;
let inPrd: Instance[];
let build = 0;

beforeAll(async () => {
  fleet = await startFleet();
  const { cloud, dir, publisherDir } = fleet;
  cloud.createBucket(PRD_BUCKET);
  const topic = cloud.createTopic('trigger-deploy-prd');
  expect(await fleet.publisher('keygen', '--out', join(dir, 'keys'), '--name', 'prd')).toMatchObject({
    code: 0,
  });
  const file = join(publisherDir, 'trigger-deploy.yaml');
  const config = parse(await readFile(file, 'utf8')) as { environments: Record<string, object> };
  const signingKey = join(dir, 'keys/prd.key.json');
  config.environments.prd = { ...config.environments.dev, topic, bucket: PRD_BUCKET, signingKey };
  await writeFile(file, stringify(config));
  await script('build.sh', 'mkdir -p build && cp next.tar.gz build/package.tar.gz');
  await script('bin/trigger-deploy', `exec "${process.execPath}" "${PUBLISHER}" "$@"`);
  await script('bin/aws', ': # the package is installed already');
  await script('bin/sudo', ': # the package is installed already');
  const settings = {
    ...{ env: 'prd', topic, bucket: PRD_BUCKET },
    trust: { keys: [join(dir, 'keys/prd.pub.json')] },
  };
  const slow = (instance: Instance) => ({ payments: sampleService(instance, { watch: '2s' }) });
  const [dev, ...prd] = await Promise.all([
    fleet.addInstance('i-0dev'),
    fleet.addInstance('i-0prd1', slow, settings),
    fleet.addInstance('i-0prd2', slow, settings),
  ]);
  inDev = dev;
  inPrd = prd;
});
afterAll(() => fleet?.stop());

async function script(name: string, text: string): Promise<void> {
  const file = join(fleet.publisherDir, name);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, `#!/bin/sh\n${text}\n`);
  await chmod(file, 0o755);
}

interface Abort {
  stage: string;
  at: string;
}
interface Ended {
  result: 'success' | 'failure' | 'aborted';
  output: string;
  version: string;
}

function environment(): Record<string, string> {
  const { PATH = '' } = process.env;
  const bin = join(fleet.publisherDir, 'bin');
  return { ...fleet.env, PATH: `${bin}:${PATH}`, HOME: fleet.publisherDir, PWD: fleet.publisherDir };
}

/** The package of the next build; with `size` (bytes) it is only something to push. */
async function nextBuild(size?: number): Promise<{ number: string; version: string }> {
  build += 1;
  const file = await fleet.pack(`1.4.${build}`);
  if (size !== undefined) {
    const content = join(fleet.dir, 'content');
    await writeFile(content, randomBytes(size));
    await create({ gzip: true, file, cwd: fleet.dir }, ['content']);
  }
  await cp(file, join(fleet.publisherDir, 'next.tar.gz'));
  for (const file of ['dev.id', 'prd.id', 'dev.xml', 'prd.xml']) {
    await rm(join(fleet.publisherDir, file), { force: true });
  }
  return { number: String(build), version: `1.4.${build}` };
}

async function jenkins(abort: Abort = { stage: '', at: '' }, size?: number): Promise<Ended> {
  const { number, version } = await nextBuild(size);
  const java = (await promisify(execFile)('readlink', ['-f', await whereIs('java')])).stdout.trim();
  const env = {
    ...environment(),
    JAVA_HOME: dirname(dirname(java)),
    BUILD_NUMBER: number,
    ...{ BUILD_TAG: `jenkins-payments-${number}`, JENKINS_URL: 'https://ci.example', JOB_NAME: 'payments' },
  };
  const argv = [PIPELINE, example('jenkins/Jenkinsfile'), abort.stage, abort.at];
  const output = await promisify(execFile)('groovy', argv, { env, cwd: fleet.publisherDir }).then(
    ({ stdout }) => stdout,
    (error: { stdout: string; stderr: string }) => error.stdout + error.stderr,
  );
  const finished = /Finished: (\w+)/.exec(output)?.[1]?.toLowerCase();
  return { result: finished as Ended['result'], output, version };
}

const whereIs = async (program: string) => (await promisify(execFile)('which', [program])).stdout.trim();

async function githubActions(abort?: Abort, size?: number): Promise<Ended> {
  const { number, version } = await nextBuild(size);
  const run = await runWorkflow(example('github-actions/deploy.yml'), {
    env: {
      ...environment(),
      ...{ GITHUB_ACTIONS: 'true', GITHUB_REPOSITORY: 'acme/payments', GITHUB_WORKFLOW: 'deploy' },
      ...{ GITHUB_RUN_ID: `9${number}`, GITHUB_RUN_NUMBER: number },
    },
    cwd: fleet.publisherDir,
    contexts: { 'github.run_number': number, 'vars.TOOLS_BUCKET': 'acme-tools' },
    ...(abort && { cancel: { step: abort.stage, at: abort.at } }),
  });
  const result = run.conclusion === 'cancelled' ? 'aborted' : run.conclusion;
  return { result, output: run.output, version };
}

const versionsOf = async (instances: readonly Instance[]) =>
  await Promise.all(instances.map(async (one) => (await fleet.ask(one))?.version));

async function outcomes(env: string): Promise<string> {
  const { stdout } = await fleet.publisher('history', 'payments', '--env', env);
  return stdout;
}

describe.each([
  ['the Jenkinsfile', jenkins, 'jenkins payments#'],
  ['the workflow of GitHub Actions', githubActions, 'github acme/payments#'],
])('%s', (_, run, by) => {
  test('pushes, deploys to dev and promotes to prd; the history names the build', async () => {
    const { result, output, version } = await run();
    expect(result, output).toBe('success');
    expect(await versionsOf([inDev, ...inPrd])).toEqual([version, version, version]);
    expect(await outcomes('prd')).toContain(`${by}${build}`);
    for (const file of ['dev.xml', 'prd.xml']) await access(join(fleet.publisherDir, file));
  });

  test('that is aborted in the push leaves no version and changes nothing', async () => {
    const before = await versionsOf([inDev, ...inPrd]);
    const { result, output, version } = await run({ stage: 'Push', at: 'upload package.tar.gz' }, LARGE);
    expect(result, output).toBe('aborted');
    expect(await versionsOf([inDev, ...inPrd])).toEqual(before);
    const { stdout } = await fleet.publisher('versions', 'payments', '--env', 'dev');
    expect(stdout).not.toContain(version);
  });

  test('that is aborted in the deployment to dev has settled it, and the next build passes', async () => {
    const { result, output } = await run({ stage: 'Deploy to dev', at: 'preparing' });
    expect(result, output).toBe('aborted');
    expect(await outcomes('dev')).not.toContain('running');
    const next = await run();
    expect(next.result, next.output).toBe('success');
    expect(await versionsOf([inDev, ...inPrd])).toEqual([next.version, next.version, next.version]);
  });

  test('that is aborted in the promotion has switched back what had switched', async () => {
    const before = await versionsOf(inPrd);
    const { result, output } = await run({ stage: 'Promote to prd', at: 'watching' });
    expect(result, output).toBe('aborted');
    expect(await versionsOf(inPrd), output).toEqual(before);
    expect(await outcomes('prd')).toContain('cancelled');
  });
});

test('a Jenkins build that nobody confirms changes prd in nothing', async () => {
  const before = await versionsOf(inPrd);
  const { result, output, version } = await jenkins({ stage: 'Confirm', at: '' });
  expect(result, output).toBe('aborted');
  expect(await versionsOf([inDev, ...inPrd])).toEqual([version, ...before]);
});
