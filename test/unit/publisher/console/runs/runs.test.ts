import { describe, expect, test, vi } from 'vitest';
import type { Order, Outcome } from '../../../../../publisher/console/ports.ts';
import { createRuns, type RunRequest } from '../../../../../publisher/console/runs/runs.ts';
import { TriggerDeployError } from '../../../../../shared/errors.ts';
import { commandOf, fakeCommands, NOW, startedEvent } from '../../../../support/console/fake-services.ts';

const ANN = { name: 'ann', via: 'laptop', groups: [], isMachine: false };
const ID = '01JDB2Q0V7M3N8T5R9XKZC4W6H';
const NEVER = new AbortController().signal;

const request = (more: Partial<RunRequest> = {}): RunRequest => ({
  ...{ id: 'abcdefgh', argv: ['payments', '1.4.2', '--env=dev'], command: commandOf() },
  ...{ person: ANN, confirmsEmpty: false },
  ...more,
});

/** Commands that wait until the test ends them. */
function open() {
  const orders: Order[] = [];
  const ends: ((outcome: Outcome | Error) => void)[] = [];
  const commands = fakeCommands((_, order) => {
    const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
    orders.push(order);
    ends.push((one) => (one instanceof Error ? reject(one) : resolve(one)));
    order.detach.addEventListener('abort', () => resolve({ kind: 'driven', exitCode: 3 }));
    return promise;
  });
  const changed = vi.fn();
  const runs = createRuns({
    commands,
    async view(error) {
      const { code, message, exitCode } = commands.explain(error);
      return { error: { code, message }, exitCode };
    },
    onChange: changed,
    now: () => NOW,
  });
  return { runs, orders, ends, changed };
}

describe('the answer', () => {
  test('has the deployment once it has started', async () => {
    const { runs, orders } = open();
    const answer = runs.start(request());
    orders[0]?.emit(startedEvent(ID));
    expect(await answer).toMatchObject({ status: 202, json: { run: { deployment: ID, state: 'running' } } });
  });

  test('has the place of a command that waits in the queue', async () => {
    const { runs, orders } = open();
    const answer = runs.start(request());
    const place = { place: 2, of: 3 };
    orders[0]?.emit({ type: 'note', at: NOW, level: 'info', text: 'place 2 of 3', place });
    expect(await answer).toMatchObject({ status: 202, json: { run: { state: 'queued', place } } });
    orders[0]?.emit(startedEvent(ID));
    expect(runs.views()[0]).toMatchObject({ state: 'running', deployment: ID });
    expect(runs.views()[0]).not.toHaveProperty('place');
  });

  test('has what the verb answered', async () => {
    const { runs, ends } = open();
    const answer = runs.start(request());
    ends[0]?.({ kind: 'answer', things: [{ type: 'pause' }], lines: ['paused'], exitCode: 0 });
    expect(await answer).toMatchObject({
      status: 200,
      json: { things: [{ type: 'pause' }], lines: ['paused'] },
    });
  });

  test.each([
    ['LOCKED', 409],
    ['USAGE', 400],
    ['INTERNAL', 500],
  ] as const)('of an error %s is %d', async (code, status) => {
    const { runs, ends } = open();
    const answer = runs.start(request());
    ends[0]?.(new TriggerDeployError(code, 'no'));
    expect(await answer).toMatchObject({ status, json: { error: { code, message: 'no' } } });
  });
});

describe('the id of the page', () => {
  test('makes a double click one run', async () => {
    const { runs, orders } = open();
    const both = [runs.start(request()), runs.start(request())];
    orders[0]?.emit(startedEvent(ID));
    const answers = await Promise.all(both);
    expect(orders).toHaveLength(1);
    expect(answers[1]).toEqual(answers[0]);
    expect(runs.views()).toHaveLength(1);
  });

  test('is the same run after its end, too', async () => {
    const { runs, ends, orders } = open();
    const first = runs.start(request());
    ends[0]?.({ kind: 'driven', exitCode: 0 });
    await first;
    expect(await runs.start(request())).toMatchObject({ status: 200, json: { exitCode: 0 } });
    expect(orders).toHaveLength(1);
  });

  test('of another person, or with another command, is another run or none', async () => {
    const { runs, orders } = open();
    void runs.start(request());
    void runs.start(request({ person: { ...ANN, name: 'bob' } }));
    expect(orders).toHaveLength(2);
    expect(await runs.start(request({ argv: ['payments', '1.4.3', '--env=dev'] }))).toMatchObject({
      status: 400,
    });
  });
});

test('20 commands go on at once, and the next one is refused until one has ended', async () => {
  const { runs, ends, orders } = open();
  const begun = Array.from({ length: 20 }, (_, i) => runs.start(request({ id: `abcdefgh${i}` })));
  expect(await runs.start(request({ id: 'onemore12' }))).toMatchObject({ status: 503 });
  ends[3]?.({ kind: 'driven', exitCode: 0 });
  await begun[3];
  void runs.start(request({ id: 'onemore12' }));
  expect(orders).toHaveLength(21);
  // A pause finds its place though the deployments have taken all of theirs.
  void runs.start(request({ id: 'apause123', command: commandOf({ verb: 'pause', follows: false }) }));
  expect(orders).toHaveLength(22);
});

test('what one person looks at takes no place from a command, nor from another person', async () => {
  const { runs, orders } = open();
  const looking = { command: commandOf({ verb: 'history', effect: 'reads', follows: false }) };
  for (let i = 0; i < 20; i += 1) void runs.start(request({ ...looking, id: `abcdefgh${i}` }));
  expect(await runs.start(request({ ...looking, id: 'onemore12' }))).toMatchObject({ status: 503 });
  void runs.start(request({ ...looking, id: 'onemore12', person: { ...ANN, name: 'bob' } }));
  void runs.start(request({ id: 'adeploy12' }));
  expect(orders).toHaveLength(22);
});

test('a console that ends detaches what it drives, says so, and begins nothing', async () => {
  const { runs, orders } = open();
  const shown: string[] = [];
  const leave = runs.watch((views) => shown.push(views.map(({ state }) => state).join()));
  const answer = runs.start(request());
  orders[0]?.emit(startedEvent(ID));
  await answer;
  await runs.detach(new Error('end'));
  leave();
  expect(orders[0]?.detach.aborted).toBe(true);
  expect(orders[0]?.stop.aborted).toBe(false);
  expect(shown).toEqual(['', 'starting', 'running', 'detached']);
  expect(await runs.start(request({ id: 'another12' }))).toMatchObject({ status: 503 });
});

test('notes are cleaned and bounded', async () => {
  const { runs, orders } = open();
  void runs.start(request());
  for (let i = 0; i < 100; i += 1) {
    orders[0]?.emit({ type: 'note', at: NOW, level: 'info', text: `${i}\u001b[31m${'x'.repeat(5000)}` });
  }
  const notes = runs.views()[0]?.notes ?? [];
  expect(notes).toHaveLength(20);
  expect(notes[19]?.text).toMatch(/^99x{998}$/);
});

test('a page of the deployment hears what was told before, and what follows', () => {
  const { runs, orders, ends } = open();
  void runs.start(request());
  orders[0]?.emit(startedEvent(ID));
  const heard: string[] = [];
  const looking = new AbortController();
  expect(runs.listen(ID, ({ type }) => heard.push(type), looking.signal)).toBe(true);
  orders[0]?.emit({ type: 'forgotten', at: NOW, deployment: ID, instances: [] });
  looking.abort();
  orders[0]?.emit({ type: 'forgotten', at: NOW, deployment: ID, instances: [] });
  expect(heard).toEqual(['started', 'forgotten']);
  expect(runs.listen('01JDB2Q0V7M3N8T5R9XKZC4W6J', () => undefined, NEVER)).toBe(false);
  ends[0]?.({ kind: 'driven', exitCode: 0 });
});

test.each(['reads', 'asks'] as const)(
  'what %s is nobody else’s business, and leaves nothing behind',
  async (effect) => {
    const { runs, ends, orders } = open();
    const command = commandOf({ verb: 'plan', effect });
    const answer = runs.start(request({ command }));
    expect(runs.views()).toEqual([]);
    ends[0]?.({ kind: 'answer', things: [], lines: [], exitCode: 0 });
    expect(await answer).toMatchObject({ status: 200 });
    void runs.start(request({ command }));
    expect(orders).toHaveLength(2);
  },
);

test('what a command may have changed is read again when it starts and when it ends', async () => {
  const { runs, ends, orders, changed } = open();
  const answer = runs.start(request());
  orders[0]?.emit(startedEvent(ID));
  ends[0]?.({ kind: 'driven', exitCode: 0 });
  await answer;
  await Promise.resolve();
  expect(changed.mock.calls).toEqual([
    ['dev', 'payments'],
    ['dev', 'payments'],
  ]);
});

test('a command that has ended is shown for a minute, and its id is known for five', async () => {
  vi.useFakeTimers();
  try {
    const { runs, ends, orders } = open();
    const answer = runs.start(request());
    ends[0]?.({ kind: 'driven', exitCode: 0 });
    await answer;
    await vi.advanceTimersByTimeAsync(59_999);
    expect(runs.views()).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(runs.views()).toEqual([]);
    await runs.start(request());
    expect(orders).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(4 * 60_000);
    expect(vi.getTimerCount()).toBe(0);
    void runs.start(request());
    expect(orders).toHaveLength(2);
  } finally {
    vi.useRealTimers();
  }
});

test.each([
  ['reads', true],
  ['asks', true],
  ['signs', false],
] as const)('after 25 s, what %s is ended: %s', async (effect, isEnded) => {
  vi.useFakeTimers();
  try {
    const { runs, orders, ends } = open();
    const answer = runs.start(request({ command: commandOf({ verb: 'history', effect }) }));
    orders[0]?.stop.addEventListener('abort', () => ends[0]?.(orders[0]?.stop.reason));
    await vi.advanceTimersByTimeAsync(25_000);
    expect(orders[0]?.stop.aborted).toBe(isEnded);
    const seen = { status: 500, json: { error: { message: 'it took longer than 25 s' } } };
    expect(await answer).toMatchObject(isEnded ? seen : { status: 202 });
  } finally {
    vi.useRealTimers();
  }
});
