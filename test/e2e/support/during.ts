import type { Finished } from '../../support/programs.ts';
import { parseEvent } from '../../support/publisher/events.ts';
import type { Host, Site } from './site.ts';

/** What happens to an instance when it first reports a state: `starting`, or, on its way back, `back starting`. */
export type Happening = readonly [host: Host, state: string, what: () => Promise<unknown>];

/**
 * Runs the publisher, and what is to happen meanwhile, each as soon as its state is reported.
 * @throws when the publisher ended and one of the states was never reported.
 */
export async function during(
  site: Site,
  args: readonly string[],
  happenings: readonly Happening[],
): Promise<Finished> {
  const program = site.fleet.startPublisher(...args, '--env', 'dev', '--output', 'json');
  await Promise.all(
    happenings.map(async ([host, state, what]) => {
      await program.line((line) => {
        const { report } = parseEvent(line);
        return report?.instance === host.id && stateOf(report) === state;
      });
      await what();
    }),
  );
  return await program.finished;
}

function stateOf({ state, step }: { state: string; step?: string | undefined }): string {
  return step === 'rollback' ? `back ${state}` : state;
}
