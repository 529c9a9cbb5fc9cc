import { describe, expect, test } from 'vitest';
import { alarmsText, checksOf, failedAlarms } from '../../../../publisher/plan/checks.ts';
import type { AlarmState } from '../../../../publisher/record/check-schema.ts';

const state = (name: string, value: string): AlarmState => ({ name, state: value });

describe('the checks of a service', () => {
  test('are none where the config has none', () => {
    expect(checksOf({ services: { payments: { canary: 1 } } }, 'payments')).toBeUndefined();
    expect(checksOf({ services: {} }, 'payments')).toBeUndefined();
  });

  test('are its alarms, watched for 5 min, and ignored without data unless the config says otherwise', () => {
    const alarms = ['5xx', { name: 'heartbeat', insufficientData: 'fail' as const }];
    expect(checksOf({ services: { payments: { alarms } } }, 'payments')).toEqual({
      alarms: [
        { name: '5xx', insufficientData: 'ignore' },
        { name: 'heartbeat', insufficientData: 'fail' },
      ],
      watchAlarmsMs: 300_000,
    });
  });

  test('are its command, with 5 min of time unless the config says otherwise', () => {
    const of = (timeout?: string) =>
      checksOf(
        { services: { payments: { verify: { run: ['smoke'], ...(timeout && { timeout }) } } } },
        'payments',
      );
    expect(of()).toEqual({ alarms: [], watchAlarmsMs: 0, verify: { run: ['smoke'], timeoutMs: 300_000 } });
    expect(of('90s')?.verify?.timeoutMs).toBe(90_000);
  });

  test('stay named where they are skipped', () => {
    const services = { payments: { alarms: ['5xx'], watchAlarms: '0s' } };
    expect(checksOf({ services }, 'payments', true)).toMatchObject({ skipped: true, watchAlarmsMs: 0 });
  });
});

describe('an alarm forbids the deployment', () => {
  const failed = (insufficientData: 'fail' | 'ignore', found: AlarmState[]) =>
    failedAlarms([{ name: '5xx', insufficientData }], found).map((one) => one.state);

  test.each([
    ['OK', 'fail', []],
    ['ALARM', 'ignore', ['ALARM']],
    ['INSUFFICIENT_DATA', 'ignore', []],
    ['INSUFFICIENT_DATA', 'fail', ['INSUFFICIENT_DATA']],
    ['A_NEW_STATE', 'ignore', ['A_NEW_STATE']],
  ] as const)('in the state %s, where no data means %s: %s', (value, insufficientData, expected) => {
    expect(failed(insufficientData, [state('5xx', value)])).toEqual(expected);
  });

  test('that does not exist', () => {
    expect(failed('ignore', [state('other', 'OK')])).toEqual(['missing']);
  });

  test('and is named with its reason, the others by name', () => {
    const all = [{ ...state('5xx', 'ALARM'), reason: '9 > 5' }, state('latency', 'missing')];
    expect(alarmsText(all)).toBe('the alarm 5xx is in ALARM (9 > 5); also not OK: latency');
    expect(alarmsText([state('latency', 'missing')])).toBe('the alarm latency does not exist');
  });
});
