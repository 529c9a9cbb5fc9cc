import { createRemoteJWKSet, customFetch, errors, jwtVerify } from 'jose';
import type { Clock } from '../../../shared/clock.ts';
import type { JwtTrust } from '../../config/schema-console.ts';
import { boundedText } from './alb-keys.ts';
import { cannotVerify, notIdentified, onlyValue } from './person-refusal.ts';
import type { Verify } from './person-verify.ts';

/**
 * Signatures with a public key only. With `none` anybody could write the token, and with HS256 anybody who has the
 * public key (RFC 8725, "JSON Web Token Best Current Practices", section 3.1).
 */
const ALGORITHMS = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA'],
];
const FETCH_MS = 3_000;
/** Keys that a token names and that are not there are asked for once in this time: made-up ids are no flood. */
const COOLDOWN_MS = 30_000;
const KEPT_MS = 10 * 60_000;
/** After a failure nobody asks for the keys for this time. */
const RETRY_MS = 2_000;
const LONGEST_KEYS = 256 * 1024;
/** Google, "Securing your app with signed headers": 30 s for the difference of the clocks. */
const SKEW_S = 30;

/**
 * Verifies a token that a proxy signs: Cloudflare Access (`Cf-Access-Jwt-Assertion`), Google's Identity-Aware Proxy
 * (`X-Goog-Iap-Jwt-Assertion`), oauth2-proxy with `--pass-authorization-header` (`Authorization`, an ID token).
 */
export async function jwtVerifier(trust: JwtTrust, clock: Clock): Promise<Verify> {
  let failedAt = Number.NEGATIVE_INFINITY;
  const keys = createRemoteJWKSet(new URL(trust.jwks), {
    timeoutDuration: FETCH_MS,
    cooldownDuration: COOLDOWN_MS,
    cacheMaxAge: KEPT_MS,
    [customFetch]: async (address: string, options: RequestInit) => {
      if (clock.monotonic() < failedAt + RETRY_MS) throw new Unavailable('the last try has just failed');
      try {
        const answer = await fetch(address, { ...options, redirect: 'error' });
        if (!answer.ok) throw new Unavailable(`HTTP ${answer.status}`);
        return new Response(await boundedText(answer, LONGEST_KEYS), { status: 200 });
      } catch (cause) {
        failedAt = clock.monotonic();
        throw cause instanceof Unavailable ? cause : new Unavailable('no answer', { cause });
      }
    },
  });

  return async (headers) => {
    const read = onlyValue(headers, trust.header);
    if ('refusal' in read) return read;
    const token = read.value.replace(/^Bearer /i, '');
    try {
      const { payload } = await jwtVerify(token, keys, {
        algorithms: ALGORITHMS,
        issuer: trust.issuer,
        audience: trust.audience,
        requiredClaims: ['exp'],
        clockTolerance: SKEW_S,
        currentDate: new Date(clock.now()),
      });
      return { claims: payload, iss: trust.issuer, until: Number(payload.exp) * 1000 };
    } catch (error) {
      if (error instanceof errors.JWTExpired) return { refusal: notIdentified('the token has expired') };
      const isAboutToken =
        error instanceof errors.JOSEError &&
        !(error instanceof errors.JWKSTimeout) &&
        !(error instanceof errors.JWKSInvalid) &&
        error.code !== 'ERR_JOSE_GENERIC';
      return isAboutToken
        ? { refusal: notIdentified('the token is not valid here') }
        : { refusal: cannotVerify('the public keys (console.trust.jwt.jwks) cannot be read') };
    }
  };
}

class Unavailable extends Error {}
