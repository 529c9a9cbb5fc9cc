import { describe, expect, test } from 'vitest';
import { createDesiredReader } from '../../../../agent/deploy/converge.ts';
import type { DesiredStore } from '../../../../agent/deploy/ports.ts';
import { TriggerDeployError } from '../../../../shared/errors.ts';
import { trustNone, type Verifier } from '../../../../shared/signing.ts';
import { WANT } from '../../../support/agent/desired-fixture.ts';

describe('reading the desired state', () => {
  const signal = new AbortController().signal;
  const document = (want: object) => {
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    return `${encode({ alg: 'EdDSA', kid: 'k', typ: 'td-desired+jws' })}.${encode(want)}.AAAA`;
  };

  /** A store that answers one after another, and the ETags it was asked with. */
  function storeOf(...answers: (Awaited<ReturnType<DesiredStore['read']>> | Error)[]) {
    const asked: (string | undefined)[] = [];
    const store: DesiredStore = {
      async read(_service, knownEtag) {
        asked.push(knownEtag);
        const answer = answers.shift() ?? 'unchanged';
        if (answer instanceof Error) throw answer;
        return answer;
      },
    };
    return { store, asked };
  }
  /** A verifier that counts how often it was asked. */
  function counting(): Verifier & { count: number } {
    const inner = trustNone();
    return {
      kids: [],
      count: 0,
      verify(typ, text, schema) {
        this.count += 1;
        return inner.verify(typ, text, schema);
      },
    };
  }

  test('returns the verified state, and then requests only a newer one', async () => {
    const { store, asked } = storeOf({ text: document(WANT), etag: 'a' }, 'unchanged', 'unchanged');
    const verifier = counting();
    const reader = createDesiredReader(store, verifier, 'dev');
    for (let i = 0; i < 3; i += 1) expect(await reader.read('payments', signal)).toEqual(WANT);
    expect(asked).toEqual([undefined, 'a', 'a']);
    expect(verifier.count).toBe(1);
  });

  test('returns the newer one after a change', async () => {
    const newer = { ...WANT, sequence: 8 };
    const { store, asked } = storeOf(
      { text: document(WANT), etag: 'a' },
      { text: document(newer), etag: 'b' },
    );
    const reader = createDesiredReader(store, trustNone(), 'dev');
    await reader.read('payments', signal);
    expect(await reader.read('payments', signal)).toEqual(newer);
    expect(await reader.read('payments', signal)).toEqual(newer);
    expect(asked).toEqual([undefined, 'a', 'b']);
  });

  test('returns undefined when it is absent, also after it was there', async () => {
    const { store } = storeOf('absent', { text: document(WANT), etag: 'a' }, 'absent');
    const reader = createDesiredReader(store, trustNone(), 'dev');
    expect(await reader.read('payments', signal)).toBeUndefined();
    expect(await reader.read('payments', signal)).toEqual(WANT);
    expect(await reader.read('payments', signal)).toBeUndefined();
  });

  test('returns undefined when the store says unchanged although nothing was read', async () => {
    const reader = createDesiredReader(storeOf('unchanged').store, trustNone(), 'dev');
    expect(await reader.read('payments', signal)).toBeUndefined();
  });

  test.each<[string, object]>([
    ['of another environment', { env: 'prd' }],
    ['of another service', { service: 'orders' }],
  ])('%s returns undefined, and is not cached', async (_, foreign) => {
    const { store, asked } = storeOf({ text: document({ ...WANT, ...foreign }), etag: 'a' }, 'unchanged');
    const reader = createDesiredReader(store, trustNone(), 'dev');
    expect(await reader.read('payments', signal)).toBeUndefined();
    expect(await reader.read('payments', signal)).toBeUndefined();
    expect(asked).toEqual([undefined, undefined]);
  });

  test('is cached for each service separately', async () => {
    const orders = { ...WANT, service: 'orders' };
    const { store, asked } = storeOf(
      { text: document(WANT), etag: 'a' },
      { text: document(orders), etag: 'b' },
    );
    const reader = createDesiredReader(store, trustNone(), 'dev');
    await reader.read('payments', signal);
    await reader.read('orders', signal);
    expect(await reader.read('payments', signal)).toEqual(WANT);
    expect(await reader.read('orders', signal)).toEqual(orders);
    expect(asked).toEqual([undefined, undefined, 'a', 'b']);
  });

  test.each<[string, string, string]>([
    ['that is no document', 'oops', 'SIGNATURE_INVALID'],
    ['that is a document of another type', document(WANT).replace(/^[^.]+/, 'e30'), 'SIGNATURE_INVALID'],
    ['that does not fit', document({ ...WANT, sequence: 0 }), 'DOCUMENT_INVALID'],
    ['without artifacts', document({ ...WANT, artifacts: [] }), 'DOCUMENT_INVALID'],
  ])('%s throws, and the cached state stays', async (_, text, code) => {
    const { store, asked } = storeOf({ text: document(WANT), etag: 'a' }, { text, etag: 'b' });
    const reader = createDesiredReader(store, trustNone(), 'dev');
    await reader.read('payments', signal);
    await expect(reader.read('payments', signal)).rejects.toMatchObject({ code });
    expect(await reader.read('payments', signal)).toEqual(WANT);
    expect(asked).toEqual([undefined, 'a', 'a']);
  });

  test('throws the error of a store that does not answer', async () => {
    const error = new TriggerDeployError('AWS_UNREACHABLE', 'no answer');
    const reader = createDesiredReader(storeOf(error).store, trustNone(), 'dev');
    await expect(reader.read('payments', signal)).rejects.toBe(error);
  });
});
