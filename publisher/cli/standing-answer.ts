import type { Session } from '../session.ts';
import type { Moment } from './option-kinds.ts';
import type { Answer, Surroundings } from './verb.ts';

/** `status --at TIME`: the answer in each form. Loads its command when it runs. */

/** In the environment of the session. */
export async function standingHere(
  session: Session,
  service: string | undefined,
  moment: Moment,
): Promise<Answer> {
  return await answerOf({
    ...{ service, moment, environments: [session.env.name], now: () => session.clock.now() },
    open: async () => session,
  });
}

/** In every environment of the config. */
export async function standingOfAll(
  service: string | undefined,
  moment: Moment,
  { environments, open }: Surroundings,
): Promise<Answer> {
  return await answerOf({ service, moment, environments: await environments(), open, now: Date.now });
}

async function answerOf(options: {
  service: string | undefined;
  moment: Moment;
  environments: readonly string[];
  open: (env: string) => Promise<Session>;
  now: () => number;
}): Promise<Answer> {
  const [{ standing }, { standingJson, standingLines, standingTable }] = await Promise.all([
    import('../commands/standing.ts'),
    import('../render/standing.ts'),
  ]);
  const found = await standing(options);
  return {
    things: standingJson(found),
    table: (page) => standingTable(found, page),
    lines: () => standingLines(found),
  };
}
