import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { deploymentUrl, type Place, pathOf, placeOf } from '../../../../publisher/render/address.ts';
import { newUlid, serviceName } from '../../../../shared/names.ts';

const ORIGIN = 'https://deploys.acme.com';
const service = fc
  .stringMatching(/^[a-z][a-z0-9_-]{0,62}$/)
  .filter((name) => serviceName.safeParse(name).success);
const env = fc.stringMatching(/^[a-z0-9]{1,16}$/);
const deployment = fc.nat().map((time) => newUlid(time));
const place: fc.Arbitrary<Place> = fc.oneof(
  fc.constant({ page: 'overview' as const }),
  fc.constant({ page: 'history' as const }),
  fc.record({ page: fc.constant('service' as const), service }),
  fc.record({ page: fc.constant('find' as const), deployment }),
  fc.record({ page: fc.constant('deployment' as const), env, service, deployment }),
);

it('an address that is printed is read as the same page', () => {
  fc.assert(
    fc.property(place, (one) => {
      expect(placeOf(pathOf(one))).toEqual(one);
    }),
    { numRuns: 50 },
  );
});

it('whatever an address holds, it is no page or one of this origin', () => {
  const hostile = fc.oneof(
    fc.string(),
    fc.constantFrom(
      '//evil.test',
      '/\\evil.test',
      '/d/../../x',
      '/s/%2e%2e',
      '/s/%',
      '/d/javascript:alert(1)',
    ),
    fc.array(fc.string(), { maxLength: 5 }).map((parts) => `/${parts.join('/')}`),
  );
  fc.assert(
    fc.property(hostile, (path) => {
      const found = placeOf(path);
      if (found !== undefined) expect(new URL(pathOf(found), ORIGIN).href).toBe(ORIGIN + pathOf(found));
    }),
    { numRuns: 50 },
  );
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.constant('\ud800')), (text) => {
      expect(new URL(pathOf({ page: 'service', service: text }), ORIGIN).origin).toBe(ORIGIN);
    }),
    { numRuns: 50 },
  );
});

it('the address of a deployment is below console.url; there is none without it', () => {
  const about = { env: 'prd', service: 'payments', deployment: '01JDB2Q0V7M3N8T5R9XKZC4W6H' };
  expect(deploymentUrl(undefined, about)).toBeUndefined();
  expect(deploymentUrl(ORIGIN, about)).toBe(`${ORIGIN}/d/prd/payments/01JDB2Q0V7M3N8T5R9XKZC4W6H`);
  expect(deploymentUrl(ORIGIN, about, 'confirm')).toBe(
    `${ORIGIN}/d/prd/payments/01JDB2Q0V7M3N8T5R9XKZC4W6H?act=confirm&env=prd&service=payments&deployment=01JDB2Q0V7M3N8T5R9XKZC4W6H`,
  );
});
