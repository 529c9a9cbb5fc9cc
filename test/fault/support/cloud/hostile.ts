import { createHmac, createPublicKey, generateKeyPairSync, type JsonWebKey } from 'node:crypto';
import { type Fields, forge } from '../../../support/publisher/announcements.ts';
import { randomOf } from '../../../support/shared/random.ts';

/** What an intruder, a bug, or a colleague of another environment may put into an agent's queue. */

export type Key = JsonWebKey & { kid: string };

export interface Hostile {
  text: string;
  /** Counted and logged; what is well signed and meant for others is passed over in silence. */
  refused: boolean;
}

const MOST_BYTES = 200 * 1024;

/** The next so many hostile messages, a kind at a time, made of an announcement that would be valid. */
export function hostileWaves(...of: Parameters<typeof hostileMessages>): (count: number) => Hostile[] {
  const source = hostileMessages(...of);
  return (count) => Array.from({ length: count }, () => source.next().value);
}

function* hostileMessages(key: Key, valid: Fields, seed: number): Generator<Hostile, never> {
  const random = randomOf(seed);
  const { below } = random;
  const stranger = strangerKey(key.kid);
  const bytes = (length: number) => random.bytes(length).toString('latin1');
  const sign = (payload: string | Fields, header: Fields = {}) => forge({ key, payload, header });
  const good = sign(valid);
  const deep = (levels: number, open: string, close: string) => open.repeat(levels) + close.repeat(levels);
  const refused: (() => string)[] = [
    () => bytes(below(4096)),
    () => JSON.stringify({ ...valid, noise: bytes(below(512)) }),
    () => deep(2000 + below(20_000), '[', ']'),
    () => sign(deep(2000 + below(20_000), '[', ']')),
    () => sign(`${deep(2000 + below(5000), '{"a":', '}').replace(/}/, '0}')}`),
    () => good.slice(0, below(good.length)),
    () => sign({ ...valid, env: 'prd' }),
    () => sign({ ...valid, sequence: -below(1000) }),
    () => sign({ ...valid, artifacts: [] }),
    () => sign(valid, { typ: 'td-desired+jws' }),
    () => sign(valid, { kid: bytes(8) }),
    () => sign(valid, { alg: 'none' }),
    () => forge({ key: stranger, payload: valid }),
    () => [good.split('.')[0], bytes(200), bytes(64)].join('.'),
    () => '.'.repeat(below(3000)),
  ];
  const silent: (() => string)[] = [
    () => sign({ ...valid, service: `other-${below(1000)}` }),
    () => sign({ ...valid, targets: [`i-${below(1000)}`], sequence: 1 }),
  ];
  for (let n = 0; ; n += 1) {
    // One in a hundred is as large as they come.
    if (n % 100 === 99) yield { text: 'A'.repeat(MOST_BYTES - below(1000)), refused: true };
    else if (n % 9 === 8) yield { text: (silent[n % silent.length] ?? bytes0)(), refused: false };
    else yield { text: (refused[n % refused.length] ?? bytes0)(), refused: true };
  }
}

const bytes0 = () => '';

function strangerKey(kid: string): Key {
  return { ...generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }), kid };
}

/** Every way to be wrong in the header of an announcement that is right otherwise. */
export function wrongHeaders(key: Key, valid: Fields): Record<string, string> {
  const sign = (header: Fields) => forge({ key, payload: valid, header });
  const stranger = strangerKey(key.kid);
  const { kty, crv, x } = stranger;
  const hmac = (input: string) => {
    const secret = createPublicKey({ key, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
    return createHmac('sha256', secret).update(input).digest();
  };
  const typ = [
    'td-manifest+jws',
    'td-desired+jws',
    'JWT',
    '',
    'TD-ANNOUNCEMENT+JWS',
    'td-announcement',
    null,
    1,
  ];
  const kid = ['stranger', '', `${key.kid} `, key.kid.toLowerCase(), null, [key.kid], '__proto__'];
  const alg = ['none', 'None', 'HS256', 'HS512', 'RS256', 'ES256', 'Ed448', 'eddsa', '', null, ['EdDSA']];
  return {
    ...Object.fromEntries(typ.map((one) => [`typ ${JSON.stringify(one)}`, sign({ typ: one })])),
    ...Object.fromEntries(kid.map((one) => [`kid ${JSON.stringify(one)}`, sign({ kid: one })])),
    ...Object.fromEntries(alg.map((one) => [`alg ${JSON.stringify(one)}`, sign({ alg: one })])),
    'the public key as an HMAC secret': forge({
      key,
      payload: valid,
      header: { alg: 'HS256' },
      signature: hmac,
    }),
    'a key of its own': forge({ key: stranger, payload: valid, header: { jwk: { kty, crv, x } } }),
    'a key from elsewhere': forge({ key: stranger, payload: valid, header: { jku: 'http://127.0.0.1:1/' } }),
    'an extension that must be understood': sign({ crit: ['exp'], exp: 1 }),
    'a payload that is not encoded': sign({ crit: ['b64'], b64: false }),
    'no signature': forge({ key, payload: valid, signature: () => Buffer.alloc(0) }),
    'a signature of zeros': forge({ key, payload: valid, signature: () => Buffer.alloc(64) }),
  };
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=';

/** The text with each of its characters replaced by another, one at a time. */
export function alteredOnce(text: string, seed: number): string[] {
  const { below } = randomOf(seed);
  return [...text].map((character, at) => {
    const others = ALPHABET.replace(character, '');
    return `${text.slice(0, at)}${others[below(others.length)]}${text.slice(at + 1)}`;
  });
}

/** The text with each character altered by one bit (the eight in turn), and every eighth left out, or doubled. */
export function alteredEverywhere(text: string): string[] {
  return [...text].flatMap((character, at) => {
    const [before, after] = [text.slice(0, at), text.slice(at + 1)];
    const flipped = String.fromCharCode(character.charCodeAt(0) ^ (1 << (at % 8)));
    const others = at % 8 === 0 ? [flipped, '', character + character] : [flipped];
    return others.map((other) => before + other + after);
  });
}
