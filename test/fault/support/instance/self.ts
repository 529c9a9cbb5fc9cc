import type { Announcement, ChangeAnnouncement } from '../../../../shared/announcement.ts';
import { keys } from '../../../../shared/names.ts';
import { isEnding, type State } from '../../../../shared/states.ts';
import { ENV } from '../../../support/fleet/fleet.ts';
import { EVIL, EVIL_USER, type Intruder } from './intruder.ts';
import { answerOf, HUGE, isOrder, recordOf, reportOf, SERVICE, withDeep } from './lies.ts';

/** What an instance says of itself: it is known, and its word counts, for itself. */

type Says = readonly (State | 'huge' | 'deep')[];

interface Self {
  title: string;
  says: Says;
  options: readonly string[];
  waves?: true;
  outcome: string;
  exitCode: number;
  /** How the three instances have ended. */
  counts: Record<string, number>;
  /** Whether the honest instances keep the version. */
  goesOn: boolean;
}

const FLAPPING = Array.from({ length: 100 }, () => ['checking', 'preparing', 'watching'] as const).flat();
const allowed = {
  options: ['--max-failures', '1'],
  outcome: 'succeeded',
  exitCode: 1,
  goesOn: true,
} as const;
const ruled = { options: [], outcome: 'failed', exitCode: 1, goesOn: false } as const;
const one = { succeeded: 2, failed: 1 };

export const SELVES: readonly Self[] = [
  { title: 'it failed, so the deployment fails', says: ['accepted', 'failed'], ...ruled, counts: one },
  { title: 'it failed, and one may', says: ['accepted', 'failed'], ...allowed, counts: one },
  {
    ...{ title: 'it failed in the last wave, so all roll back', says: ['failed'], waves: true },
    ...{ ...ruled, counts: one },
  },
  {
    ...{ title: 'it failed in the last wave, and one may', says: ['failed'], waves: true },
    ...{ ...allowed, counts: one },
  },
  { title: 'it failed, then it succeeded', says: ['failed', 'succeeded'], ...allowed, counts: one },
  { title: 'it failed, with a text of 900 kB', says: ['huge'], ...allowed, counts: one },
  { title: 'it failed, with lists in lists', says: ['deep'], ...allowed, counts: one },
  {
    ...{ title: 'it goes back and forth, then it succeeded', says: [...FLAPPING, 'succeeded'], options: [] },
    ...{ outcome: 'succeeded', exitCode: 0, counts: { succeeded: 3 }, goesOn: true },
  },
  {
    ...{ title: 'it never ends, and one may be missing', says: FLAPPING },
    options: ['--timeout', '6s', '--allow-missing', '1'],
    ...{ outcome: 'succeeded', exitCode: 0, counts: { succeeded: 2 }, goesOn: true },
  },
  {
    ...{ title: 'it says nothing, and one may be missing', says: [] },
    options: ['--timeout', '6s', '--allow-missing', '1'],
    ...{ outcome: 'succeeded', exitCode: 0, counts: { succeeded: 2, silent: 1 }, goesOn: true },
  },
];

/** From now on the role is a known instance, which answers roll calls and says of each order what `script` does. */
export async function speakAs(
  evil: Intruder,
  version: string,
  script: (order: ChangeAnnouncement) => Says,
): Promise<void> {
  const record = recordOf(EVIL, { version, sequence: 0, seen: 0, active: true, state: 'succeeded' });
  await evil.put(keys.instance(ENV, SERVICE, EVIL_USER), record);
  evil.heard = async (said: Announcement) => {
    if (said.targets !== undefined && !said.targets.includes(EVIL)) return;
    if (said.kind === 'roll-call') await evil.send(said.replyTo, answerOf(said, [record]));
    if (!isOrder(said)) return;
    const words = said.kind === 'prepare' ? (['accepted', 'prepared'] as const) : script(said);
    for (const [index, word] of words.entries()) {
      const n = index + (said.kind === 'prepare' ? 0 : 10);
      const state = word === 'huge' || word === 'deep' ? 'failed' : word;
      const report = reportOf(said, EVIL, state, n);
      const error = { code: 'START_FAILED', message: 'mallory was here', more: HUGE };
      const body = word === 'deep' ? withDeep(report) : word === 'huge' ? { ...report, error } : report;
      evil.sendAll(said.replyTo, [typeof body === 'string' ? body : JSON.stringify(body)]);
      if (!isEnding(state)) continue;
      await evil.put(keys.report(ENV, SERVICE, said.deployment, EVIL_USER), report);
    }
  };
}
