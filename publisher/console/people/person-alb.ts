import { compactVerify, decodeProtectedHeader, importSPKI } from 'jose';
import type { Clock } from '../../../shared/clock.ts';
import type { AlbTrust } from '../../config/schema-console.ts';
import { createKeyStore, isKeyId, keyAddress } from './alb-keys.ts';
import type { Claims } from './person-claims.ts';
import { cannotVerify, notIdentified, onlyValue } from './person-refusal.ts';
import type { Verify } from './person-verify.ts';

/** The header in which a load balancer tells the claims of the person. It replaces one that the request brings. */
const HEADER = 'x-amzn-oidc-data';

/**
 * Verifies the token of an Application Load Balancer.
 *
 * Elastic Load Balancing, "Authenticate users using an Application Load Balancer": the parts of the token are base64url
 * with padding, which the signature covers, so that it is verified as it came; `signer`, `iss`, `client` and `exp` are in
 * the protected header. All accounts of a region share the keys, and there is no audience: only `signer` says that it is
 * our load balancer ("ALBeast", Miggo Security). A header without it is refused before a key is asked for.
 */
export async function albVerifier(trust: AlbTrust, clock: Clock): Promise<Verify> {
  const keys = createKeyStore({
    address: trust.keys ?? keyAddress(trust.alb),
    monotonic: clock.monotonic,
    read: (pem) => importSPKI(pem, 'ES256'),
  });

  const wrongIn = (header: Readonly<Record<string, unknown>>): string | undefined => {
    if (header.alg !== 'ES256') return 'the token is not signed with ES256';
    if (header.signer !== trust.alb) return 'the token is of another load balancer';
    if (header.iss !== trust.issuer) return 'the token is of another issuer';
    if (header.client !== trust.client) return 'the token is of another client';
    const exp = header.exp;
    if (typeof exp !== 'number' || exp * 1000 <= clock.now()) return 'the token has expired';
    return isKeyId(header.kid) ? undefined : 'the token names no key';
  };

  return async (headers) => {
    const read = onlyValue(headers, HEADER);
    if ('refusal' in read) return read;
    let header: Readonly<Record<string, unknown>>;
    try {
      header = decodeProtectedHeader(read.value);
    } catch {
      return { refusal: notIdentified('it is no token') };
    }
    const wrong = wrongIn(header);
    if (wrong !== undefined) return { refusal: notIdentified(wrong) };
    const kid = String(header.kid);
    let key: Awaited<ReturnType<typeof keys.find>>;
    try {
      key = await keys.find(kid);
    } catch {
      return { refusal: cannotVerify('the public key of the load balancer cannot be read') };
    }
    if (key === undefined) return { refusal: notIdentified('there is no such key') };
    try {
      const { payload } = await compactVerify(read.value, key, { algorithms: ['ES256'] });
      const claims: unknown = JSON.parse(Buffer.from(payload).toString('utf8'));
      if (typeof claims !== 'object' || claims === null)
        return { refusal: notIdentified('it has no claims') };
      keys.keep(kid, key);
      // `exp` is that of this header, which each request has anew; it does not say when the login ends.
      return { claims: claims as Claims, iss: trust.issuer };
    } catch {
      return { refusal: notIdentified('the signature of the token is wrong') };
    }
  };
}
