import { describe, expect, test } from 'vitest';
import { announcement, LONGEST_EXPIRY_MS } from '../../../shared/announcement.ts';

const ID = '01JDB2Z3Y4X5W6V7T8S9R0QPNM';
const COMMON = {
  v: 1,
  deployment: ID,
  env: 'dev',
  issuedAt: '2026-01-31T08:00:00.000Z',
  expiresAt: '2026-01-31T08:10:00.000Z',
  issuedBy: 'jenkins payments#4711',
};
const CHANGE = {
  service: 'payments',
  version: '1.4.2',
  sequence: 7,
  action: 'deploy',
  artifacts: [{ name: 'payments.jar', size: 10, sha256: 'a'.repeat(64), role: 'package' }],
};
const DEPLOY = { kind: 'deploy', ...COMMON, ...CHANGE };

const accepts = (value: unknown) => announcement.safeParse(value).success;

describe('an announcement', () => {
  test.each<[string, object]>([
    ['deploy', DEPLOY],
    ['prepare', { ...DEPLOY, kind: 'prepare' }],
    ['cancel', { kind: 'cancel', ...COMMON, service: 'payments', sequence: 7 }],
    ['converge', { kind: 'converge', ...COMMON, service: 'payments' }],
    ['roll-call of all services', { kind: 'roll-call', ...COMMON }],
    ['roll-call of one service', { kind: 'roll-call', ...COMMON, service: 'payments' }],
    ['rollback', { ...DEPLOY, action: 'rollback' }],
  ])('of the kind %s is accepted', (_, value) => {
    expect(accepts(value)).toBe(true);
  });

  test('keeps keys that a newer publisher adds', () => {
    expect(announcement.parse({ ...DEPLOY, colour: 'blue' })).toMatchObject({ colour: 'blue' });
  });

  test.each<[string, object]>([
    ['of an unknown kind', { kind: 'run' }],
    ['without a kind', { kind: undefined }],
    ['of another format', { v: 2 }],
    ['with an id that is no ULID', { deployment: 'deployment-7' }],
    ['of an environment with a dash', { env: 'dev-1' }],
    ['of a service named like a verb', { service: 'status' }],
    ['of a service that is a path', { service: '../payments' }],
    ['of a version that is a path', { version: '1/2' }],
    ['of the version latest', { version: 'latest' }],
    ['of the sequence 0', { sequence: 0 }],
    ['of half a sequence', { sequence: 7.5 }],
    ['of a sequence as text', { sequence: '7' }],
    ['of a sequence beyond exact integers', { sequence: 2 ** 60 }],
    ['with another action', { action: 'erase' }],
    ['without artifacts', { artifacts: [] }],
    ['issued at no time', { issuedAt: 'now' }],
    ['that never expires', { expiresAt: undefined }],
    ['that expires on a day that does not exist', { expiresAt: '2026-02-30T08:00:00Z' }],
    ['from a name of 257 characters', { issuedBy: 'x'.repeat(257) }],
    ['with a reason of 1025 characters', { reason: 'x'.repeat(1025) }],
    ['with a reply queue of 81 characters', { replyTo: 'x'.repeat(81) }],
    ['aimed at 5001 instances', { targets: Array.from({ length: 5001 }, (_, i) => `i-${i}`) }],
    ['aimed at a path', { targets: ['../i-1'] }],
    ['aimed at everything but a list', { targets: 'i-1' }],
  ])('%s is refused', (_, wrong) => {
    expect(accepts({ ...DEPLOY, ...wrong })).toBe(false);
  });

  test('aimed at 5000 instances is accepted', () => {
    expect(accepts({ ...DEPLOY, targets: Array.from({ length: 5000 }, (_, i) => `i-${i}`) })).toBe(true);
  });

  test.each([
    'service',
    'version',
    'sequence',
    'action',
    'artifacts',
    'deployment',
    'env',
    'issuedAt',
    'issuedBy',
  ])('a deploy without its %s is refused', (key) => {
    expect(accepts({ ...DEPLOY, [key]: undefined })).toBe(false);
  });

  test.each([null, undefined, 1, 'deploy', [], [DEPLOY], {}])('%s is none', (value) => {
    expect(accepts(value)).toBe(false);
  });
});

test('the longest life is the hour that an agent queue keeps messages for', () => {
  expect(LONGEST_EXPIRY_MS).toBe(3_600_000);
});
