import { setTimeout as sleep } from 'node:timers/promises';
import type { Instance } from '../../../support/fleet/fleet.ts';

/** How often it asks, ms. */
const PACE_MS = 40;

/** A client that asks an instance's service all the while, one question after the other, with all patience. */
export interface SteadyClient {
  /** The answers so far, by what they said: a version, or how it failed. */
  readonly answers: ReadonlyMap<string, number>;
  /** Resolves with the first answer of this version, past or to come. */
  until(version: string): Promise<void>;
  /** Stops asking, and says all the answers there were. */
  stop(): Promise<string[]>;
}

export function steadyClient(instance: Instance): SteadyClient {
  const answers = new Map<string, number>();
  const watchers = new Map<string, PromiseWithResolvers<void>>();
  const over = new AbortController();
  const asking = ask();

  async function ask(): Promise<void> {
    while (!over.signal.aborted) {
      const said = await answerOf(instance.port);
      answers.set(said, (answers.get(said) ?? 0) + 1);
      watchers.get(said)?.resolve();
      await sleep(PACE_MS, undefined, { signal: over.signal }).catch(() => undefined);
    }
  }

  return {
    answers,
    async until(version) {
      const watcher = watchers.get(version) ?? Promise.withResolvers<void>();
      watchers.set(version, watcher);
      if (answers.has(version)) watcher.resolve();
      await watcher.promise;
    },
    async stop() {
      over.abort();
      await asking;
      return [...answers.keys()];
    },
  };
}

async function answerOf(port: number): Promise<string> {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}/`);
    const { version } = (await answer.json()) as { version: string };
    return answer.ok ? version : `status ${answer.status}`;
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined;
    return `no answer: ${cause instanceof Error && 'code' in cause ? cause.code : error}`;
  }
}
