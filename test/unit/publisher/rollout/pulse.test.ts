import { describe, expect, it } from 'vitest';
import type { PublisherEvent } from '../../../../publisher/events.ts';
import { pulse, pulseReader } from '../../../../publisher/record/pulse.ts';
import { pulseText, withPulse } from '../../../../publisher/rollout/pulse.ts';
import { reportsOf } from '../../../../publisher/rollout/pulse-reports.ts';
import type { Session } from '../../../../publisher/session.ts';
import { TriggerDeployError } from '../../../../shared/errors.ts';
import type { Report } from '../../../../shared/report.ts';
import { HandClock } from '../../../support/publisher/stage.ts';

/** What a driver tells to consoles that look: shown, and never believed. */

const deployment = '01M70000000000000000000000';
const record = { deployment, env: 'dev', service: 'payments', version: '1.1.0', sequence: 7 };
const at = '2026-11-28T14:00:00.000Z';

const report = (instance: string, change: Partial<Report> = {}): Report => ({
  ...{ kind: 'report', v: 1, deployment, env: 'dev', service: 'payments', instance, sequence: 7, n: 3, at },
  ...{ state: 'checking', version: '1.1.0', timings: {}, ...change },
});
const said = (one: Report): PublisherEvent => ({ type: 'report', at: 0, report: one });
const heard = (reports: readonly Report[]) => ({
  ...{ ...record, expected: [], wave: undefined, forgotten: undefined },
  reports: new Map(reports.map((one) => [one.instance, one])),
});
const place = { env: 'dev', now: Date.parse(at), via: 'ci-7' };

function driver(overwrite: (key: string, body: string) => Promise<void>, env: object = { hasConsole: true }) {
  const clock = new HandClock();
  const events: PublisherEvent[] = [];
  const session = {
    ...{ env: { name: 'dev', ...env }, clock, origin: { user: 'ci', host: 'ci-7' } },
    emit: (event: PublisherEvent) => events.push(event),
    record: { objects: { overwrite } },
  } as unknown as Session;
  return { clock, session, events };
}
const stored = { value: { ...record, expected: ['i-1', 'i-2'] } } as never;
const turn = () => new Promise(setImmediate);

describe('a driver', () => {
  it('writes what it heard when that has changed, once a second at most', async () => {
    const written: string[] = [];
    const { clock, session, events } = driver(async (_key, body) => void written.push(body));
    await withPulse(session, stored, async ({ emit }) => {
      const pass = async (ms: number) => {
        await turn();
        clock.advance(ms);
        await turn();
      };
      for (let n = 1; n <= 5; n += 1) emit(said(report('i-1', { n })));
      await pass(100);
      expect(written.map((body) => pulse.parse(JSON.parse(body)))).toMatchObject([
        { via: 'ci-7', of: 2, counts: { checking: 1 }, instances: [{ instance: 'i-1', n: 5 }] },
      ]);
      emit(said(report('i-1', { n: 6, state: 'succeeded' })));
      await pass(500);
      expect(written).toHaveLength(1);
      await pass(500);
      expect(written).toHaveLength(2);
      await pass(60_000);
      expect(written).toHaveLength(2);
    });
    expect(events).toHaveLength(6);
    expect(pulse.parse(JSON.parse(written[1] ?? ''))).toMatchObject({
      counts: { succeeded: 1 },
      instances: [],
    });
  });

  it('goes on whatever becomes of a write: refused, or never answered', async () => {
    for (const overwrite of [
      () => Promise.reject(new Error('no')),
      () => new Promise<void>(() => undefined),
    ]) {
      const { clock, session } = driver(overwrite);
      const ended = await withPulse(session, stored, async ({ emit }) => {
        emit(said(report('i-1')));
        await turn();
        clock.advance(100);
        await turn();
        emit(said(report('i-1', { n: 4 })));
        return 0;
      });
      expect(ended).toBe(0);
    }
  });

  it('writes nothing where the config has no console, unless it is one', async () => {
    const fail = async () => {
      throw new Error('it has written');
    };
    const { session } = driver(fail, {});
    await withPulse(session, stored, async (given) => expect(given).toBe(session));
    const inConsole = { ...session, person: { via: 'deploys-a' } } as unknown as Session;
    await withPulse(inConsole, stored, async (given) => expect(given).not.toBe(inConsole));
  });

  it('writes no more than readers read, also of 5,000 instances with long names', () => {
    const long = (i: number) => `i-${String(i).padStart(46, '0')}`;
    const note = 'ü'.repeat(512);
    const many = Array.from({ length: 5000 }, (_, i) => report(long(i), { note, zone: 'z'.repeat(64) }));
    const text = pulseText(heard(many), place);
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(120 * 1024);
    const { counts, instances } = pulse.parse(JSON.parse(text));
    expect(counts).toEqual({ checking: 5000 });
    expect(instances.length).toBeGreaterThan(100);
    expect(instances.at(-1)?.instance).toBe(long(4999));
  });
});

describe('a pulse', () => {
  const shown = (reports: readonly Report[], known: readonly Report[] = []) => {
    const parsed = pulse.parse(JSON.parse(pulseText(heard(reports), place)));
    return reportsOf(
      parsed,
      { ...record, expected: ['i-1'] },
      new Map(known.map((one) => [one.instance, one])),
    );
  };

  it('shows the states of known instances only, and no ending', () => {
    expect(shown([report('i-1', { note: 'http 503' })])).toMatchObject([
      { instance: 'i-1', note: 'http 503' },
    ]);
    expect(shown([report('i-9')])).toEqual([]);
    expect(shown([report('i-9')], [report('i-9', { n: 0 })])).toHaveLength(1);
    expect(shown([report('i-1', { n: 99 })], [report('i-1', { state: 'failed' })])).toEqual([]);
    expect(shown([report('i-1')], [report('i-1', { n: 8, state: 'prepared' })])).toEqual([]);
    const forged = { ...JSON.parse(pulseText(heard([report('i-1')]), place)) };
    forged.instances[0].state = 'succeeded';
    expect(pulse.safeParse(forged).success).toBe(false);
  });

  it('has clean text: no control characters', () => {
    const forged = JSON.parse(pulseText(heard([report('i-1')]), place));
    forged.instances[0].note = 'a\u001b[2Jb\nc';
    const { instances } = pulse.parse(forged);
    expect(instances[0]?.note).not.toMatch(/[\u0000-\u001f]/);
  });

  it('counts as none when it is large, malformed or of another deployment', async () => {
    const answers: unknown[] = [
      new TriggerDeployError('DOCUMENT_INVALID', 'too large'),
      { value: { ...JSON.parse(pulseText(heard([]), place)), deployment: '01M70000000000000000000001' } },
    ];
    for (const answer of answers) {
      const readJsonUnless = async () => {
        if (answer instanceof Error) throw answer;
        return answer;
      };
      const read = pulseReader({ env: 'dev', objects: { readJsonUnless } as never }, 'payments', deployment);
      expect(await read()).toBeUndefined();
    }
  });
});
