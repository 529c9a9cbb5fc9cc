import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/**
 * The keys of a console on loopback. The key of the address is exchanged once for the key of a session, which the page
 * sends with each request. No cookie: a browser sends a cookie to every port of the machine, also to a server of
 * another user. Only digests are kept.
 */

/** How long a session lasts, ms. */
export const SESSION_MS = 12 * 60 * 60 * 1000;
const KEY_BYTES = 32;
const KEY = /^[A-Za-z0-9_-]{43}$/;

export interface LoopbackKeys {
  /** The session for the key of the address; `used`: it was exchanged before, and somebody else may have it. */
  exchange(key: string): { session: string } | 'used' | 'wrong';
  isSession(session: string): boolean;
  /** Ends all sessions. Returns a new key of the address. */
  renew(): string;
}

export interface KeySources {
  /** A clock that never jumps, ms. */
  monotonic: () => number;
  random?: (bytes: number) => Buffer;
}

export function createLoopbackKeys({ monotonic, random = randomBytes }: KeySources): LoopbackKeys {
  const newKey = () => random(KEY_BYTES).toString('base64url');
  let address: { digest: Buffer; isUsed: boolean } | undefined;
  let sessions: { digest: Buffer; until: number }[] = [];
  return {
    exchange(key) {
      if (address === undefined || !KEY.test(key) || !timingSafeEqual(digestOf(key), address.digest)) {
        return 'wrong';
      }
      if (address.isUsed) return 'used';
      address.isUsed = true;
      const session = newKey();
      sessions.push({ digest: digestOf(session), until: monotonic() + SESSION_MS });
      return { session };
    },
    isSession(session) {
      if (!KEY.test(session)) return false;
      sessions = sessions.filter(({ until }) => until > monotonic());
      const digest = digestOf(session);
      return sessions.some((one) => timingSafeEqual(one.digest, digest));
    },
    renew() {
      sessions = [];
      const key = newKey();
      address = { digest: digestOf(key), isUsed: false };
      return key;
    },
  };
}

const digestOf = (key: string) => createHash('sha256').update(key).digest();
