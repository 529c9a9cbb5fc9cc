import { describe, expect, it } from 'vitest';
import { refuseIfChanged } from '../../../../publisher/record/if-sequence.ts';
import type { Desired } from '../../../../shared/desired.ts';

const AT = Date.parse('2026-11-01T14:02:00Z');
const DESIRED: Desired = {
  ...{ v: 1, env: 'prd', service: 'payments', version: '1.4.2', sequence: 42, action: 'deploy' },
  ...{ deployment: '01JDB2Q0V7M3N8T5R9XKZC4W6H', artifacts: [], changedAt: new Date(AT).toISOString() },
  ...{ changedBy: 'ann@desk', nonce: 'n' },
};
const look = (ifSequence: number | undefined, desired?: Desired) => () =>
  refuseIfChanged({ env: 'prd', service: 'payments', ifSequence }, desired, AT + 5000);

describe('--if-sequence', () => {
  it.each([
    ['the sequence of the desired state', 42, DESIRED],
    ['0 where there is none', 0, undefined],
    ['no number', undefined, DESIRED],
  ])('%s lets the change through', (_, ifSequence, desired) => {
    expect(look(ifSequence, desired)).not.toThrow();
  });

  it('another number is refused: who set what, when, and the number for another try', () => {
    expect(look(41, DESIRED)).toThrow(
      expect.objectContaining({
        code: 'CHANGED',
        message:
          'payments in prd is not as it was seen (the sequence 41): ann@desk set 1.4.2 at 2026-11-01T14:02:00.000Z, 5.0 s ago (deploy 01JDB2Q0V7M3N8T5R9XKZC4W6H, sequence 42)',
        hint: expect.stringContaining('--if-sequence 42'),
      }),
    );
  });

  it('0 is refused where something is desired; a number, where nothing is any more', () => {
    expect(look(0, DESIRED)).toThrow(/not as it was seen \(no desired state\): ann@desk set/);
    expect(look(42)).toThrow(
      'payments in prd is not as it was seen (the sequence 42): it has no desired state',
    );
  });
});
