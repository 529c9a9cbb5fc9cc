import type { Finished } from '../../support/programs.ts';
import { parseEvent, storyOf } from '../../support/publisher/events.ts';
import type { Host, Site } from './site.ts';

/** What happens to an instance when it first reports a state: `starting`, or, on its way back, `back starting`. */
export type Happening = readonly [host: Host, state: string, what: () => Promise<unknown>];

/** An agent leaves a report out when a newer one is there before it was sent: then the next state stands for it. */
const STATES = [
  ...['accepted', 'preparing', 'prepared', 'draining', 'switching', 'starting', 'checking', 'watching'],
  ...['back switching', 'back starting', 'back checking'],
];

/**
 * Runs the publisher, and what is to happen meanwhile, each as soon as its state, or one after it, is reported.
 * @throws when the publisher ended before that.
 */
export async function during(
  site: Site,
  args: readonly string[],
  happenings: readonly Happening[],
): Promise<Finished> {
  const program = site.fleet.startPublisher(...args, '--env', 'dev', '--output', 'json');
  await Promise.all(
    happenings.map(async ([host, state, what]) => {
      const least = STATES.indexOf(state);
      if (least < 0) throw new Error(`${state} is no state to wait for`);
      const reached = program.line((line) => {
        const { report } = parseEvent(line);
        return report?.instance === host.id && STATES.indexOf(stateOf(report)) >= least;
      });
      await reached.catch(async () => {
        throw new Error(`${host.id} never reported ${state}\n${storyOf(await program.finished)}`);
      });
      await what();
    }),
  );
  return await program.finished;
}

function stateOf({ state, step }: { state: string; step?: string | undefined }): string {
  return step === 'rollback' ? `back ${state}` : state;
}
