import { describe, expect, test } from 'vitest';
import {
  MOST_BODY,
  refuseBody,
  refuseForeign,
  refuseHost,
} from '../../../../../publisher/console/http/admit.ts';

const status = (answer: { status: number } | undefined) => answer?.status;

describe('a host', () => {
  test.each(['localhost', 'LOCALHOST:7117', '127.0.0.1:7117', '[::1]:7117', '127.0.0.1', 'deploys.acme.com'])(
    '%s is admitted',
    (host) => {
      expect(refuseHost(host, ['deploys.acme.com'])).toBeUndefined();
    },
  );

  test('that is allowed is admitted with any port', () => {
    expect(refuseHost('Deploys.acme.com:8443', ['deploys.acme.com'])).toBeUndefined();
  });

  test.each([
    undefined,
    '',
    'evil.test',
    'evil.test:7117',
    'localhost.evil.test',
    'localhost.',
    '127.0.0.1.evil.test',
    '127.0.0.2',
    '0.0.0.0:7117',
    '[::ffff:127.0.0.1]',
    'localhost:7117@evil.test',
    'localhost:',
    'deploys.acme.com.evil.test',
  ])('%s is misdirected', (host) => {
    expect(status(refuseHost(host, ['deploys.acme.com']))).toBe(421);
  });
});

describe('a request that can change something', () => {
  const own = { host: '127.0.0.1:7117', 'x-trigger-deploy': '1' };

  test('is admitted from the page itself', () => {
    expect(refuseForeign('POST', { ...own, 'sec-fetch-site': 'same-origin' })).toBeUndefined();
  });

  test('is admitted from the page itself in a browser that says nothing of the site', () => {
    expect(refuseForeign('POST', { ...own, origin: 'http://127.0.0.1:7117' })).toBeUndefined();
  });

  test.each(['same-site', 'cross-site', 'none', 'same-origin, cross-site', ''])(
    'is refused with Sec-Fetch-Site %j',
    (site) => {
      const headers = { ...own, origin: 'http://127.0.0.1:7117', 'sec-fetch-site': site };
      expect(status(refuseForeign('POST', headers))).toBe(403);
    },
  );

  test.each([
    undefined,
    'null',
    'http://127.0.0.1:7118',
    'http://evil.test',
    'http://127.0.0.1:7117.evil.test',
  ])('is refused with the origin %s in such a browser', (origin) => {
    expect(status(refuseForeign('POST', { ...own, origin }))).toBe(403);
  });

  test('is refused without our header, which no form can send', () => {
    const headers = { host: own.host, 'sec-fetch-site': 'same-origin' };
    expect(status(refuseForeign('POST', headers))).toBe(403);
    expect(status(refuseForeign('POST', { ...headers, 'x-trigger-deploy': 'true' }))).toBe(403);
  });
});

test('a question of another site is refused, one without a site is not', () => {
  expect(status(refuseForeign('GET', { 'sec-fetch-site': 'cross-site' }))).toBe(403);
  expect(status(refuseForeign('GET', { 'sec-fetch-site': 'same-site' }))).toBe(403);
  expect(refuseForeign('GET', {})).toBeUndefined();
});

describe('a body', () => {
  const json = { 'content-type': 'application/json' };

  test.each(['application/json', 'application/json; charset=utf-8', 'Application/JSON;charset=UTF-8'])(
    'of the type %s is read',
    (type) => {
      expect(refuseBody({ 'content-type': type, 'content-length': '10' })).toBeUndefined();
    },
  );

  test.each([
    undefined,
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data',
    'application/json; charset=utf-7',
    'text/plain; application/json',
  ])('of the type %s is refused', (type) => {
    expect(status(refuseBody({ 'content-type': type }))).toBe(415);
  });

  test('that is packed is refused: nobody knows how long it is', () => {
    expect(status(refuseBody({ ...json, 'content-encoding': 'gzip' }))).toBe(415);
  });

  test('that says that it is too long is refused before it is read', () => {
    expect(refuseBody({ ...json, 'content-length': String(MOST_BODY) })).toBeUndefined();
    expect(status(refuseBody({ ...json, 'content-length': String(MOST_BODY + 1) }))).toBe(413);
  });
});
