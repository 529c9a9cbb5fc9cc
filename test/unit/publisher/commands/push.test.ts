import { createHash, randomBytes } from 'node:crypto';
import { appendFileSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { push } from '../../../../publisher/commands/push.ts';
import type { PublisherEvent } from '../../../../publisher/events.ts';
import type { Session } from '../../../../publisher/session.ts';
import { TriggerDeployError } from '../../../../shared/errors.ts';
import { keys } from '../../../../shared/names.ts';
import { openStage, type Stage } from '../../../support/publisher/stage.ts';
import { jarOf, jarText } from '../../../support/shared/zip.ts';

const MB = 1024 * 1024;
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

let stage: Stage;
let directory: string;
beforeEach(async () => {
  stage = await openStage();
  directory = await mkdtemp(join(tmpdir(), 'push-'));
});
afterEach(async () => {
  await stage.close();
  await rm(directory, { recursive: true });
});

async function file(name: string, bytes: Uint8Array | string): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, bytes);
  return path;
}
const options = (files: string[], change: { version?: string; configs?: string[] } = {}) => ({
  service: 'payments',
  version: '1.4.2',
  files,
  configs: [],
  ...change,
});
const stored = () => stage.cloud.objects(stage.bucket, 'artifacts/');
const manifestKey = (version = '1.4.2') => keys.manifest('payments', version);
const pushes = () => stage.json(keys.index('payments'))?.pushes;
const operations = (operation: string) =>
  stage.cloud.requests.filter((request) => request.operation === operation).length;
const jarKey = (bytes: Uint8Array) => keys.artifact('payments', '1.4.2', sha256(bytes), 'payments.jar');

/** A session that `abort` interrupts, as Ctrl-C does. */
async function interruptible(onEvent: (event: PublisherEvent, abort: () => void) => void): Promise<Session> {
  const controller = new AbortController();
  const abort = () => controller.abort(new TriggerDeployError('INTERRUPTED', 'interrupted'));
  const session = await stage.open();
  return { ...session, signal: controller.signal, emit: (event) => onEvent(event, abort) };
}

describe('push', () => {
  it('writes the files under their digests, then the signed manifest, then the index', async () => {
    const bytes = jarOf(randomBytes(20 * MB));
    const jar = await file('payments.jar', bytes);
    const config = await file('application-dev.yaml', 'a: 1\n');
    const session = await stage.open();
    const answer = await push(session, options([jar], { configs: [config] }));
    expect(answer).toMatchObject({ changed: true, env: 'dev', manifest: { pushedBy: session.who } });
    expect(stage.cloud.object(stage.bucket, jarKey(bytes))?.body.equals(bytes)).toBe(true);
    const manifest = await (await stage.open()).record.versions.readManifest('payments', '1.4.2');
    expect(manifest.artifacts).toEqual([
      { name: 'payments.jar', size: bytes.length, sha256: sha256(bytes), role: 'package' },
      {
        name: 'application-dev.yaml',
        size: 5,
        sha256: sha256(Buffer.from('a: 1\n')),
        role: 'config',
        mode: expect.any(Number),
      },
    ]);
    expect(pushes()).toMatchObject([{ version: '1.4.2', pushedBy: session.who }]);
    const written = stage.cloud.requests.filter(({ operation }) => /^(Put|CompleteMulti)/.test(operation));
    expect(written.slice(-2).map(({ key }) => key)).toEqual([manifestKey(), keys.index('payments')]);
    const progress = session.events.flatMap((event) => (event.type === 'progress' ? [event] : []));
    expect(progress.at(0)).toMatchObject({ what: 'payments.jar', done: 0, total: bytes.length });
    expect(progress.filter((one) => one.what === 'payments.jar').at(-1)?.done).toBe(bytes.length);
  });

  it('takes config files named .env and with spaces, and a second push of them finds them again', async () => {
    const jar = await file('payments.jar', jarText('jar'));
    const configs = [await file('.env', 'A=1'), await file('my settings@dev.yml', 'a: 1')];
    await push(await stage.open(), options([jar], { configs }));
    for (const [name, body] of [
      ['.env', 'A=1'],
      ['my settings@dev.yml', 'a: 1'],
    ] as const) {
      const key = keys.artifact('payments', '1.4.2', sha256(Buffer.from(body)), name);
      expect(stage.cloud.object(stage.bucket, key)?.body.toString()).toBe(body);
    }
    expect(await push(await stage.open(), options([jar], { configs }))).toMatchObject({ changed: false });
  });

  it('puts two config files of one name to two paths, and refuses one below another', async () => {
    const jar = await file('payments.jar', jarText('jar'));
    const config = await file('app.yml', 'a: 1');
    const configs = [`${config}=config/app.yml`, `${config}=other/app.yml`, config];
    const { manifest } = await push(await stage.open(), options([jar], { configs }));
    expect(manifest.artifacts.slice(1)).toMatchObject([
      { name: 'config@app.yml', path: 'config/app.yml' },
      { name: 'other@app.yml', path: 'other/app.yml' },
      { name: 'app.yml' },
    ]);
    expect(await push(await stage.open(), options([jar], { configs }))).toMatchObject({ changed: false });
    const below = push(await stage.open(), options([jar], { configs: [config, `${config}=app.yml/b`] }));
    await expect(below).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining('in place of'),
    });
    const elsewhere = push(await stage.open(), options([jar], { configs: [`${config}=conf/app.yml`] }));
    await expect(elsewhere).rejects.toMatchObject({ code: 'VERSION_EXISTS' });
  });

  it('of the same bytes again does nothing, and says who pushed them and when', async () => {
    const jar = await file('payments.jar', jarText('jar'));
    const { manifest } = await push(await stage.open(), options([jar]));
    const before = stage.cloud.object(stage.bucket, manifestKey())?.etag;
    const puts = operations('PutObject');
    expect(await push(await stage.open(), options([jar]))).toEqual({
      ...{ type: 'pushed', changed: false, env: 'dev' },
      manifest,
    });
    expect(stage.cloud.object(stage.bucket, manifestKey())?.etag).toBe(before);
    expect(operations('PutObject')).toBe(puts);
  });

  it('of different files under an existing version is refused, with who pushed it and when', async () => {
    const jar = await file('payments.jar', jarText('jar'));
    const { manifest } = await push(await stage.open(), options([jar]));
    const all = stored();
    await expect(
      push(await stage.open(), options([await file('payments.jar', jarText('raj'))])),
    ).rejects.toMatchObject({
      code: 'VERSION_EXISTS',
      message: `payments 1.4.2 exists with different files: ${manifest.pushedBy} pushed it at ${manifest.pushedAt}`,
      hint: expect.stringContaining('choose another version'),
    });
    expect(stored()).toEqual(all);
    const config = await file('application-dev.yaml', 'a: 1');
    await expect(
      push(await stage.open(), options([await file('payments.jar', jarText('jar'))], { configs: [config] })),
    ).rejects.toMatchObject({ code: 'VERSION_EXISTS' });
  });

  it('two at once of one version with different bytes: one is the version, the other is refused', async () => {
    const mine = await file('payments.jar', jarText('mine'));
    await mkdir(join(directory, 'b'));
    const theirs = await file('b/payments.jar', jarText('theirs'));
    const [first, second] = [await stage.open(), await stage.open()];
    const results = await Promise.allSettled([push(first, options([mine])), push(second, options([theirs]))]);
    const winners = results.filter((result) => result.status === 'fulfilled');
    const losers = results.filter((result) => result.status === 'rejected');
    expect(winners).toHaveLength(1);
    expect(losers).toMatchObject([{ reason: { code: 'VERSION_EXISTS' } }]);
    const manifest = await first.record.versions.readManifest('payments', '1.4.2');
    expect(winners[0]?.value.manifest).toEqual(manifest);
    expect(pushes()).toHaveLength(1);
  });

  it('two at once of one version with the same bytes both succeed', async () => {
    const jar = await file('payments.jar', jarText('jar'));
    const sessions = [await stage.open(), await stage.open()];
    const answers = await Promise.all(sessions.map((session) => push(session, options([jar]))));
    expect(answers.map((answer) => answer.changed).sort()).toEqual([false, true]);
    expect(pushes()).toHaveLength(1);
  });

  it('ten versions at once are all in the index, and `latest` is one of them', async () => {
    const jar = await file('payments.jar', jarText('jar'));
    const versions = Array.from({ length: 10 }, (_, i) => `2.0.${i}`);
    await Promise.all(
      versions.map(async (version) => await push(await stage.open(), options([jar], { version }))),
    );
    const { record } = await stage.open();
    expect((await record.versions.newest('payments', 20)).sort()).toEqual(versions);
    expect(versions).toContain((await record.versions.resolve('payments', 'latest')).version);
  });

  it('finds its own writes when their answers were lost', async () => {
    const jar = await file('payments.jar', jarText('jar'));
    for (const key of [manifestKey(), keys.index('payments')]) {
      stage.cloud.fail('answer-lost', (request) => request.operation === 'PutObject' && request.key === key);
    }
    expect(await push(await stage.open(), options([jar]))).toMatchObject({ changed: true });
    expect(pushes()).toHaveLength(1);
  });

  it('completes a push that stopped between the manifest and the index, and replaces an unreadable index', async () => {
    const jar = await file('payments.jar', jarText('jar'));
    await push(await stage.open(), options([jar]));
    stage.cloud.putObject(stage.bucket, keys.index('payments'), '{"v":1,"nonce"');
    expect(await push(await stage.open(), options([jar]))).toMatchObject({ changed: false });
    expect(pushes()).toMatchObject([{ version: '1.4.2' }]);
  });

  it('of a version whose file was deleted from the bucket uploads the file again', async () => {
    const jar = await file('payments.jar', jarText('jar'));
    const session = await stage.open();
    await push(session, options([jar]));
    const key = jarKey(Buffer.from(jarText('jar')));
    stage.cloud.deleteObject(stage.bucket, key);
    expect(await push(session, options([jar]))).toMatchObject({ changed: false });
    expect(stage.cloud.object(stage.bucket, key)?.body.toString()).toBe(jarText('jar'));
  });

  it('does not upload a file that the bucket already has', async () => {
    const bytes = jarOf(randomBytes(9 * MB));
    const jar = await file('payments.jar', bytes);
    stage.cloud.putObject(stage.bucket, jarKey(bytes), bytes);
    await push(await stage.open(), options([jar]));
    expect(operations('CreateMultipartUpload')).toBe(0);
    expect(operations('UploadPart')).toBe(0);
  });
});

describe('an interrupted push', () => {
  it('leaves no version, no object and no parts, and the next one succeeds', async () => {
    const jar = await file('payments.jar', jarOf(randomBytes(40 * MB)));
    const session = await interruptible((event, abort) => {
      if (event.type === 'progress' && event.done > 0) abort();
    });
    await expect(push(session, options([jar]))).rejects.toMatchObject({ code: 'INTERRUPTED' });
    expect(stored()).toEqual([]);
    expect(operations('CreateMultipartUpload')).toBe(1);
    expect(operations('AbortMultipartUpload')).toBe(1);
    expect(operations('CompleteMultipartUpload')).toBe(0);
    expect(await push(await stage.open(), options([jar]))).toMatchObject({ changed: true });
  });

  it('before any upload has sent no request', async () => {
    const jar = await file('payments.jar', jarOf(randomBytes(MB)));
    const session = await interruptible((_event, abort) => abort());
    await expect(push(session, options([jar]))).rejects.toMatchObject({ code: 'INTERRUPTED' });
    expect(stored()).toEqual([]);
  });
});

describe('a file', () => {
  it('that changes while it is pushed does not become a version', async () => {
    const changes: ((path: string) => void)[] = [
      (path) => writeFileSync(path, randomBytes(20 * MB)),
      (path) => appendFileSync(path, 'more'),
      (path) => writeFileSync(path, 'less'),
    ];
    for (const change of changes) {
      const jar = await file('payments.jar', jarOf(randomBytes(20 * MB)));
      const session = await stage.open();
      let changed = false;
      // The first progress is emitted after the digest and before the first byte is sent.
      const emit = () => {
        if (!changed) change(jar);
        changed = true;
      };
      await expect(push({ ...session, emit }, options([jar]))).rejects.toMatchObject({
        code: 'ARTIFACT_DIGEST_MISMATCH',
        message: expect.stringContaining(`${jar} changed while it was pushed`),
      });
      expect(stored()).toEqual([]);
    }
  });

  it('that is missing, empty, a directory or badly named is refused before any request', async () => {
    const jar = await file('payments.jar', jarText('jar'));
    const badlyNamed = await file('my%app.jar', jarText('jar'));
    await mkdir(join(directory, 'dir.jar'));
    await mkdir(join(directory, 'b'));
    const same = await file('b/payments.jar', jarText('jar'));
    const cases: [string[], string][] = [
      [[join(directory, 'no.jar')], 'there is no such file'],
      [[await file('empty.jar', '')], 'it is empty'],
      [[join(directory, 'dir.jar')], 'it is a directory'],
      [[badlyNamed], 'a file name has letters, digits, spaces'],
      [[jar, same], 'have the same name: payments.jar'],
      [[jar, '/dev/null'], 'it is not a regular file'],
    ];
    for (const [files, message] of cases) {
      await expect(push(await stage.open(), options(files))).rejects.toMatchObject({
        code: 'USAGE',
        message: expect.stringContaining(message),
        hint: expect.any(String),
      });
    }
    expect(stage.cloud.requests).toEqual([]);
  });

  it('for a bucket that does not exist gives one clear error', async () => {
    const jar = await file('payments.jar', jarText('jar'));
    const session = await stage.open();
    const env = { ...session.env, bucket: 'nowhere' };
    await expect(push({ ...session, env }, options([jar]))).rejects.toMatchObject({
      code: 'BUCKET_NOT_FOUND',
    });
  });
});
