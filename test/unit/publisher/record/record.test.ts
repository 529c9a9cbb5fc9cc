import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDeployments } from '../../../../publisher/record/deployments.ts';
import { type DesiredChange, openDesiredStates } from '../../../../publisher/record/desired-state.ts';
import type { Objects } from '../../../../publisher/record/objects.ts';
import type { Session } from '../../../../publisher/session.ts';
import { keys, newUlid } from '../../../../shared/names.ts';
import { userIdOf } from '../../../support/cloud/sqs.ts';
import { notes, openStage, type Stage } from '../../../support/publisher/stage.ts';

let stage: Stage;
let session: Awaited<ReturnType<Stage['open']>>;
beforeEach(async () => {
  stage = await openStage();
  session = await stage.open();
});
afterEach(async () => await stage.close());

const artifacts = [{ name: 'app.jar', size: 3, sha256: 'a'.repeat(64), role: 'package' as const }];
const change = (sequence: number, more: Partial<DesiredChange> = {}): DesiredChange => ({
  ...{ service: 'payments', version: `1.${sequence}.0`, artifacts, action: 'deploy', sequence },
  ...{ deployment: newUlid(sequence), changedBy: 'ci' },
  ...more,
});
const desiredKey = keys.desired('dev', 'payments');

describe('the desired state', () => {
  it('names the previous version, also after the same version is deployed again', async () => {
    const { desired } = session.record;
    expect(await desired.move(change(1))).not.toHaveProperty('previous');
    await desired.move(change(2));
    expect(await desired.move(change(3, { version: '1.2.0' }))).toMatchObject({ previous: '1.1.0' });
    expect((await desired.read('payments'))?.value).toMatchObject({ version: '1.2.0', sequence: 3 });
  });

  it('never moves to a lower sequence', async () => {
    await session.record.desired.move(change(5));
    await expect(session.record.desired.move(change(4))).rejects.toMatchObject({
      code: 'FENCED',
      message: expect.stringContaining('sequence 5'),
    });
  });

  it('is written once for one deployment', async () => {
    const one = change(1);
    await session.record.desired.move(one);
    const etag = stage.cloud.object(stage.bucket, desiredKey)?.etag;
    await session.record.desired.move(one);
    expect(stage.cloud.object(stage.bucket, desiredKey)?.etag).toBe(etag);
  });

  it('is not paused by a pause that was ended between the reads of both', async () => {
    await session.record.desired.move(change(1));
    const pauses = [{ by: 'ann', since: '2026-01-01T00:00:00.000Z', reason: 'freeze' }, undefined];
    const { objects } = session.record;
    const { signer, verifier } = session;
    const desired = openDesiredStates({
      ...{ env: 'dev', objects, signer, verifier, now: Date.now },
      changes: { add: async () => undefined, readAhead: async () => undefined },
      pauseOf: async () => pauses.shift(),
    });
    expect(await desired.move(change(2))).not.toHaveProperty('pause');
  });

  it('has the highest sequence after many writers at once', async () => {
    const others = await Promise.all(Array.from({ length: 4 }, () => stage.open()));
    await Promise.allSettled(others.map((one, index) => one.record.desired.move(change(index + 1))));
    expect((await session.record.desired.read('payments'))?.value.sequence).toBe(4);
  });

  it('that is unreadable is an error that names it, is never taken for none, and is not overwritten', async () => {
    for (const text of ['', 'garbage', '{"version":"1.0.0"}']) {
      stage.cloud.putObject(stage.bucket, desiredKey, text);
      const reading = session.record.desired.read('payments');
      await expect(reading).rejects.toMatchObject({
        code: 'SIGNATURE_INVALID',
        message: expect.stringContaining(desiredKey),
      });
      await expect(session.record.desired.move(change(9))).rejects.toThrow();
    }
  });

  it('of another service, copied to this key, is refused', async () => {
    await session.record.desired.move(change(1, { service: 'billing' }));
    const other = stage.cloud.object(stage.bucket, keys.desired('dev', 'billing'))?.body ?? '';
    stage.cloud.putObject(stage.bucket, desiredKey, other);
    await expect(session.record.desired.read('payments')).rejects.toMatchObject({ code: 'DOCUMENT_INVALID' });
  });

  it('is not accepted as a manifest', async () => {
    await session.record.desired.move(change(1));
    const text = stage.cloud.object(stage.bucket, desiredKey)?.body ?? '';
    stage.cloud.putObject(stage.bucket, keys.manifest('payments', '1.1.0'), text);
    await expect(session.record.versions.readManifest('payments', '1.1.0')).rejects.toMatchObject({
      code: 'SIGNATURE_INVALID',
    });
  });
});

describe('versions', () => {
  it('latest is the newest push of the index', async () => {
    for (const version of ['1.9.0', '1.10.0']) await stage.publish('payments', version);
    const push = (version: string) => ({ version, pushedAt: new Date().toISOString(), pushedBy: 'ci' });
    const index = { v: 1, nonce: 'n', pushes: [push('1.10.0'), push('1.9.0')] };
    stage.cloud.putObject(stage.bucket, keys.index('payments'), JSON.stringify(index));
    expect((await session.record.versions.resolve('payments', 'latest')).version).toBe('1.10.0');
  });

  it('without a readable index are those with a manifest, the newest first', async () => {
    await stage.publish('payments', '1.0.0');
    await stage.publish('payments', '0.9.0');
    stage.cloud.putObject(stage.bucket, keys.artifact('payments', '2.0.0', 'a'.repeat(64), 'app.jar'), 'x');
    const old = stage.cloud.object(stage.bucket, keys.manifest('payments', '1.0.0'));
    old?.lastModified.setTime(0);
    expect(await session.record.versions.newest('payments', 9)).toEqual(['0.9.0', '1.0.0']);
    stage.cloud.putObject(stage.bucket, keys.index('payments'), 'not json');
    expect((await session.record.versions.resolve('payments', 'latest')).version).toBe('0.9.0');
  });

  it('latest of a service without versions is SERVICE_NOT_FOUND', async () => {
    await expect(session.record.versions.resolve('payments', 'latest')).rejects.toMatchObject({
      code: 'SERVICE_NOT_FOUND',
    });
  });
});

describe('deployments', () => {
  const create = async (id: string, sequence: number, by: Session = session) => {
    const now = new Date().toISOString();
    return await by.record.deployments.create({
      ...{ deployment: id, env: 'dev', service: 'payments', version: '1.0.0', previous: null },
      ...{ action: 'deploy', sequence, issuedBy: 'ci', from: { user: 'u', host: 'h' }, artifacts },
      ...{ expected: [], announcedAt: now, expiresAt: now, strategy: 'all', desiredFirst: false },
      policy: { allowMissing: 0, maxFailures: 0, onFailure: 'rollback', timeoutMs: 1000 },
      status: 'announced',
    });
  };

  it('are listed newest first; an unreadable one is skipped with a warning', async () => {
    const ids = [newUlid(1), newUlid(2), newUlid(3)];
    for (const [index, id] of ids.entries()) await create(id, index + 1);
    stage.cloud.putObject(stage.bucket, keys.deployment('dev', 'payments', ids[1] ?? ''), '{"v":1}');
    const listed = await session.record.deployments.list('payments', 10);
    expect(listed.map((one) => one.deployment)).toEqual([ids[2], ids[0]]);
    expect(notes(session.events)).toEqual([expect.stringContaining(ids[1] ?? '')]);
    expect(await session.record.deployments.list('payments', 1)).toHaveLength(1);
  });

  it('the newest is the one with the highest sequence, whatever the clocks of the publishers', async () => {
    await create(newUlid(9000), 1);
    const later = newUlid(1000);
    await create(later, 2);
    expect((await session.record.deployments.newest('payments'))?.value.deployment).toBe(later);
  });

  it('an id belongs to one service and is found there', async () => {
    const id = newUlid(1);
    await create(id, 1);
    stage.cloud.putObject(stage.bucket, keys.lock('dev', 'billing'), '{}');
    expect(await session.record.deployments.find(id)).toBe('payments');
    await expect(create(id, 2)).rejects.toMatchObject({ code: 'CONDITION_FAILED' });
  });

  it('the newest is found behind hundreds that never were, about which any instance can write a report', async () => {
    const id = newUlid(1);
    await create(id, 1);
    for (let i = 0; i < 300; i += 1) {
      stage.cloud.putObject(stage.bucket, keys.report('dev', 'payments', newUlid(2 + i), 'AROAX:i-1'), '{}');
    }
    expect((await session.record.deployments.newest('payments'))?.value.deployment).toBe(id);
  });

  it('a report about it below another service, which any instance can write, does not move it there', async () => {
    const id = newUlid(1);
    await create(id, 1);
    stage.cloud.putObject(stage.bucket, keys.report('dev', 'aaa', id, 'AROAX:i-1'), '{}');
    expect(await session.record.deployments.find(id)).toBe('payments');
  });

  it('a record is not overwritten by a writer that has not read its last change', async () => {
    const stored = await create(newUlid(1), 1);
    await session.record.deployments.update(stored, { status: 'failed' });
    const late = session.record.deployments.update(stored, { status: 'succeeded' });
    await expect(late).rejects.toMatchObject({ code: 'CONDITION_FAILED' });
  });

  it('a report counts only under the key of its own instance and deployment', async () => {
    const id = newUlid(1);
    const put = (instance: string, body: object | string) => {
      const text = typeof body === 'string' ? body : JSON.stringify(body);
      stage.cloud.putObject(stage.bucket, keys.report('dev', 'payments', id, userIdOf(instance)), text);
    };
    const report = (instance: string) => ({
      ...{ kind: 'report', v: 1, deployment: id, env: 'dev', service: 'payments', instance, sequence: 1 },
      ...{ n: 0, at: '2026-01-01T00:00:00Z', state: 'accepted', version: '1.0.0', timings: {} },
    });
    put('i-1', report('i-1'));
    put('i-2', report('i-1'));
    put('i-3', { ...report('i-3'), deployment: newUlid(2) });
    put('i-4', '{"half":');
    const reader = session.record.deployments.reportReader('payments', id);
    expect((await reader()).map((one) => one.instance)).toEqual(['i-1']);
    expect(notes(session.events)).toHaveLength(3);
    expect(await reader()).toEqual([]);
    put('i-1', { ...report('i-1'), n: 1, state: 'succeeded' });
    expect(await reader()).toMatchObject([{ instance: 'i-1', state: 'succeeded' }]);
    expect(notes(session.events)).toHaveLength(3);
  });

  it('a report whose text came as a reply is not read again, and a later one is', async () => {
    const id = newUlid(1);
    const key = keys.report('dev', 'payments', id, userIdOf('i-1'));
    const report = {
      ...{ kind: 'report', v: 1, deployment: id, env: 'dev', service: 'payments', instance: 'i-1' },
      ...{ sequence: 1, n: 0, at: '2026-01-01T00:00:00Z', state: 'accepted', version: '1.0.0', timings: {} },
    };
    const { etag } = stage.cloud.putObject(stage.bucket, key, JSON.stringify(report));
    const heard = new Set([etag]);
    const reader = session.record.deployments.reportReader('payments', id);
    expect(await reader(heard)).toEqual([]);
    expect(stage.cloud.requests.filter((asked) => asked.key === key)).toEqual([]);
    stage.cloud.putObject(stage.bucket, key, JSON.stringify({ ...report, n: 1, state: 'succeeded' }));
    expect(await reader(heard)).toMatchObject([{ state: 'succeeded' }]);
  });

  it('a report that was read beside one that S3 failed to read is read again', async () => {
    const id = newUlid(1);
    for (const instance of ['i-1', 'i-2']) {
      const report = {
        ...{ kind: 'report', v: 1, deployment: id, env: 'dev', service: 'payments', instance, sequence: 1 },
        ...{ n: 0, at: '2026-01-01T00:00:00Z', state: 'accepted', version: '1.0.0', timings: {} },
      };
      stage.cloud.putObject(
        stage.bucket,
        keys.report('dev', 'payments', id, userIdOf(instance)),
        JSON.stringify(report),
      );
    }
    const { objects } = session.record;
    let failures = 1;
    const readJson: Objects['readJson'] = async (key, schema) => {
      const read = await objects.readJson(key, schema);
      if (key.includes('i-2') && failures-- > 0) throw new Error('no answer');
      return read;
    };
    const { signer, verifier } = session;
    const context = { env: 'dev', signer, verifier, warn: () => undefined, now: Date.now };
    const deployments = openDeployments({ ...context, objects: { ...objects, readJson } });
    const reader = deployments.reportReader('payments', id);
    await expect(reader()).rejects.toThrow('no answer');
    expect((await reader()).map((one) => one.instance)).toEqual(['i-1', 'i-2']);
    expect(await reader()).toEqual([]);
  });

  it('a report or an instance record carries no control characters into this program', async () => {
    const evil = '\u001b[2J\u0007go\u202ene';
    const about = { v: 1, env: 'dev', service: 'payments', instance: 'i-1', sequence: 1, zone: evil };
    const at = '2026-01-01T00:00:00Z';
    const record = { ...about, version: null, pinned: false, agentVersion: evil, at };
    stage.cloud.putObject(
      stage.bucket,
      keys.instance('dev', 'payments', userIdOf('i-1')),
      JSON.stringify(record),
    );
    const id = newUlid(1);
    const error = { code: evil, message: evil, detail: evil };
    const report = { kind: 'report', deployment: id, n: 0, state: 'failed', version: '1.0.0', timings: {} };
    const body = JSON.stringify({ ...about, ...report, at, note: evil, error });
    stage.cloud.putObject(stage.bucket, keys.report('dev', 'payments', id, userIdOf('i-1')), body);
    const { deployments } = session.record;
    const clean = { code: 'gone', message: 'gone', detail: 'gone' };
    expect(await deployments.reports('payments', id)).toMatchObject([
      { zone: 'gone', note: 'gone', error: clean },
    ]);
    expect(await deployments.instances('payments')).toMatchObject([{ zone: 'gone', agentVersion: 'gone' }]);
  });
});
