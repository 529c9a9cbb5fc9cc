import { orAborted } from '../../../shared/abort.ts';
import { ulidTime } from '../../../shared/names.ts';
import type { PastDeployment } from '../../record/local-deployment.ts';
import { cutAt, hasFailed, pastDeployments } from '../../record/past-deployments.ts';
import { pastPauses } from '../../record/past-pauses.ts';
import { standingAt } from '../../record/standing.ts';
import type { Session } from '../../session.ts';
import type { ErrorView, PauseChangeView, StandingView } from '../api.ts';
import { errorView } from '../error-view.ts';
import type { Environments, HistoryQuestion, Looks } from '../ports.ts';

/**
 * The history of all environments in one list, and what stood where at a time. Each environment is read for itself: one
 * that cannot be read is named, and keeps nothing from being shown.
 */

/** How long an environment has for its answer, ms; the page waits for 30 s. */
const PATIENCE_MS = 20_000;

export function openHistoryLooks(environments: Environments): Pick<Looks, 'history' | 'standing'> {
  /** What each environment answers; those that fail or take too long are in `trouble`. */
  async function fromEach<T>(
    only: string | undefined,
    signal: AbortSignal,
    read: (session: Session) => Promise<T>,
  ): Promise<{ answers: { env: string; answer: T }[]; trouble: { env: string; error: ErrorView }[] }> {
    const names = only === undefined ? await environments.names() : [only];
    const trouble: { env: string; error: ErrorView }[] = [];
    const all = await Promise.all(
      names.map(async (env) => {
        const patience = AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]);
        try {
          const reading = environments.look(env).then(read);
          return [{ env, answer: await orAborted(reading, patience) }];
        } catch (error) {
          signal.throwIfAborted();
          trouble.push({ env, error: patience.aborted ? late(env) : errorView(error) });
          return [];
        }
      }),
    );
    return { answers: all.flat(), trouble };
  }

  return {
    async history(question, signal) {
      const at = Date.now();
      const { answers, trouble } = await fromEach(question.env, signal, (session) =>
        pageOf(session, question),
      );
      const { deployments, before } = merged(
        answers.map(({ answer }) => answer),
        question.limit,
      );
      const since = before === undefined ? 0 : ulidTime(before);
      const pauses = answers.flatMap(({ answer }) => answer.pauses);
      return {
        ...{ at, deployments },
        pauses: pauses.filter((one) => one.at >= since).sort((a, b) => b.at - a.at),
        ...(before !== undefined && { before }),
        ...(trouble.length > 0 && { trouble }),
      };
    },

    async standing({ at, service }, signal): Promise<StandingView> {
      const { answers, trouble } = await fromEach(undefined, signal, async ({ record: { deployments } }) =>
        standingAt(deployments, service === undefined ? await deployments.services() : [service], at),
      );
      const places = answers.flatMap(({ env, answer }) =>
        answer.map(({ service, version, deployment, underWay, unknown }) => ({
          ...{ env, service, version },
          ...(deployment !== undefined && { deployment }),
          ...(underWay && {
            underWay: { deployment: underWay.deployment, version: underWay.version },
          }),
          ...(unknown !== undefined && { unknown }),
        })),
      );
      return { at, places, ...(trouble.length > 0 && { trouble }) };
    },
  };
}

const late = (env: string): ErrorView => ({
  code: 'TOO_SLOW',
  message: `${env} gave no answer within ${PATIENCE_MS / 1000} s`,
  hint: 'try again',
});

interface Part {
  deployments: PastDeployment[];
  before: string | undefined;
  pauses: PauseChangeView[];
}

async function pageOf(
  session: Session,
  { service, since = 0, only, before, limit }: HistoryQuestion,
): Promise<Part> {
  const { deployments, pauses } = session.record;
  const services = service === undefined ? await deployments.services() : [service];
  const page = await pastDeployments(deployments, {
    ...{ services, limit, since, before },
    ...(only === 'failed' && { wanted: hasFailed }),
  });
  const until = before === undefined ? Number.POSITIVE_INFINITY : ulidTime(before);
  const changes = only === 'failed' ? [] : await pastPauses(pauses, services, { since, until });
  const env = session.env.name;
  return {
    ...page,
    pauses: changes.map(({ service, paused, by, at, reason }) => ({
      ...{ env, paused, by, at: Date.parse(at) },
      ...(service !== undefined && { service }),
      ...(reason !== undefined && { reason }),
    })),
  };
}

/** One page of several: it ends where the first of them ends, so that nothing between two pages is missing. Pure. */
export function merged(
  parts: readonly Pick<Part, 'deployments' | 'before'>[],
  limit: number,
): { deployments: PastDeployment[]; before: string | undefined } {
  const ends = parts.flatMap(({ before }) => (before === undefined ? [] : [before]));
  const end = ends.sort().at(-1);
  const all = parts
    .flatMap(({ deployments }) => deployments)
    .filter(({ deployment }) => end === undefined || deployment >= end)
    .sort((a, b) => (a.deployment > b.deployment ? -1 : a.deployment < b.deployment ? 1 : 0));
  const shown = cutAt(all, limit);
  return { deployments: shown, before: shown.length < all.length ? shown.at(-1)?.deployment : end };
}
