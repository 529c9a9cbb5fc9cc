import { get } from 'node:http';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Instance } from '../fleet/fleet.ts';

/** A client of the service that never stops asking each instance which version it is. */

const PAUSE_MS = 20;
const PATIENCE_MS = 1000;

interface Tally {
  asked: number;
  /** Refused, cut off, or not answered within a second. */
  failed: number;
  /** Answers by the version that gave them, in the order of appearance. */
  versions: Map<string, number>;
  /** The longest time in which one instance gave no answer, ms. */
  longestSilenceMs: number;
}

/** Asks every instance over and over while `work` goes on. */
export async function askDuring(
  instances: readonly Pick<Instance, 'port'>[],
  work: () => Promise<void>,
): Promise<Tally> {
  const tally: Tally = { asked: 0, failed: 0, versions: new Map(), longestSilenceMs: 0 };
  let over = false;
  const ask = async (port: number): Promise<void> => {
    for (let answeredAt = performance.now(); !over; await sleep(PAUSE_MS)) {
      const version = await askVersion(port);
      tally.asked += 1;
      tally.longestSilenceMs = Math.max(tally.longestSilenceMs, performance.now() - answeredAt);
      if (version === undefined) tally.failed += 1;
      else {
        tally.versions.set(version, (tally.versions.get(version) ?? 0) + 1);
        answeredAt = performance.now();
      }
    }
  };
  const asking = Promise.all(instances.map(({ port }) => ask(port)));
  try {
    await work();
  } finally {
    over = true;
    await asking;
  }
  return tally;
}

/** By a connection of its own, as a new client would: a kept one would hide what a restart cuts off. */
export function askVersion(port: number, patienceMs = PATIENCE_MS): Promise<string | undefined> {
  return new Promise((resolve) => {
    const signal = AbortSignal.timeout(patienceMs);
    const request = get({ host: '127.0.0.1', port, agent: false, signal }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.on('error', () => resolve(undefined));
      response.on('end', () => resolve(versionIn(body)));
    });
    request.on('error', () => resolve(undefined));
  });
}

function versionIn(body: string): string | undefined {
  try {
    return (JSON.parse(body) as { version?: string }).version;
  } catch {
    return undefined;
  }
}

export function tallyText({ asked, failed, versions, longestSilenceMs }: Tally): string {
  const answers = [...versions].map(([version, count]) => `${count} × ${version}`).join(', ');
  return `The client asked ${asked} times: ${asked - failed} answers (${answers}), ${failed} failed.
Nothing takes an instance out of traffic before it restarts here: ${(longestSilenceMs / 1000).toFixed(2)} s of silence at most.`;
}
