import { createPrivateKey, generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto';
import { type StandInServer, startStandIn } from '../cloud/stand-in-server.ts';

/**
 * A load balancer as AWS documents it, as far as a console sees it: the endpoint of its region's public keys, and the
 * tokens that it signs. Modelled from "Authenticate users using an Application Load Balancer": base64url with padding,
 * the signature over the padded text.
 */

export const ALB =
  'arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/deploys/50dc6c495c0c9188';
export const ISSUER = 'https://acme.okta.com';
export const CLIENT = '0oa1b2c3d4';

export interface TokenChange {
  header?: Record<string, unknown>;
  claims?: Record<string, unknown>;
  key?: KeyObject;
  encoding?: 'ieee-p1363' | 'der';
  /** The signature instead of the right one. */
  signature?: string;
}

export interface FakeAlb {
  readonly kid: string;
  readonly key: KeyObject;
  /** The address of the public keys. */
  readonly keys: string;
  /** The paths that were asked for. */
  readonly asked: string[];
  /** Each answer is this status from now on; undefined: as it is. `silent`: no answer at all. */
  fail(how: number | 'silent' | undefined): void;
  /** Another key, which the endpoint has from now on. */
  rotate(): { kid: string; key: KeyObject };
  token(change?: TokenChange): string;
  stop(): Promise<void>;
}

const padded = (value: Buffer) => value.toString('base64').replaceAll('+', '-').replaceAll('/', '_');
const part = (value: unknown) => padded(Buffer.from(JSON.stringify(value)));

export async function startAlb(): Promise<FakeAlb> {
  const pems = new Map<string, string>();
  const make = () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const kid = randomUUID();
    pems.set(kid, publicKey.export({ format: 'pem', type: 'spki' }).toString());
    return { kid, key: createPrivateKey(privateKey.export({ format: 'pem', type: 'pkcs8' })) };
  };
  const first = make();
  const asked: string[] = [];
  let failure: number | 'silent' | undefined;
  const server: StandInServer = await startStandIn((request, _, response) => {
    asked.push(request.url ?? '');
    if (failure === 'silent') return;
    const pem = pems.get((request.url ?? '').slice(1));
    response.writeHead(failure ?? (pem === undefined ? 404 : 200)).end(pem ?? 'no such key');
  });
  return {
    ...{ kid: first.kid, key: first.key, keys: server.endpoint, asked, rotate: make },
    fail(how) {
      failure = how;
    },
    token({ header, claims, key = first.key, encoding = 'ieee-p1363', signature } = {}) {
      const exp = Math.floor(Date.now() / 1000) + 120;
      const text = [
        part({
          ...{ typ: 'JWT', alg: 'ES256', kid: first.kid, signer: ALB, iss: ISSUER, client: CLIENT, exp },
          ...header,
        }),
        part({ sub: '00u1', email: 'ann@acme.com', groups: ['release'], exp, iss: ISSUER, ...claims }),
      ].join('.');
      const signed = sign('sha256', Buffer.from(text), { key, dsaEncoding: encoding });
      return `${text}.${signature ?? padded(signed)}`;
    },
    stop: server.stop,
  };
}
