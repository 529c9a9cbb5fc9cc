import { PERMISSIONS } from '../permissions.ts';
import type { People, Refusal } from '../ports.ts';
import type { LoopbackKeys } from './loopback-key.ts';

const EVERYTHING = [{ may: PERMISSIONS }];
const NO_SESSION: Refusal = {
  status: 401,
  error: {
    code: 'NO_SESSION',
    message: 'this page has no session with the console',
    hint: 'open the address that the console printed when it started',
  },
};

/**
 * The one person of a console on loopback: who started it. Whoever has a session may what the terminal may: it is the
 * same key with the same credentials. `name` is `user@host`, `via` the host of the console.
 */
export function loopbackPeople(keys: LoopbackKeys, { name, via }: { name: string; via: string }): People {
  const person = { name, via, groups: [], isMachine: false };
  return {
    mode: 'loopback',
    async personOf({ authorization = [] }) {
      const [, session] =
        /^Bearer (\S+)$/.exec(authorization.length === 1 ? (authorization[0] ?? '') : '') ?? [];
      return session !== undefined && keys.isSession(session) ? { person } : { refusal: NO_SESSION };
    },
    grantsOf: () => EVERYTHING,
    mayRun: () => undefined,
  };
}
