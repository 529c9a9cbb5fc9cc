import { expect, test } from 'vitest';
import { versionFromName } from '../../../../agent/commands/version-from-name.ts';

test.each([
  ['payments-1.4.3.jar', '1.4.3'],
  ['/tmp/build/payments-1.4.3-SNAPSHOT.jar', '1.4.3-SNAPSHOT'],
  ['payments-2026-11-21.tar.gz', '2026-11-21'],
  ['payments_v2.0.tgz', '2.0'],
  ['payments-2.tar', '2'],
  ['server-all-3.1.jar', '3.1'],
])('%s is %s', (path, version) => {
  expect(versionFromName(path, 'payments')).toBe(version);
});

test('a digit in the name of the service is not taken as the version', () => {
  expect(versionFromName('log4-shipper-1.0.jar', 'log4-shipper')).toBe('1.0');
});

test.each(['payments.jar', 'payments-latest.jar', 'payments-.jar', '1.4.3.jar'])(
  '%s has no version',
  (path) => {
    expect(() => versionFromName(path, 'payments')).toThrow(
      expect.objectContaining({ code: 'USAGE', hint: expect.stringMatching('--version') }),
    );
  },
);
