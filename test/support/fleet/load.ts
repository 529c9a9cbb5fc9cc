import { Agent, get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** Clients that keep their connection and ask again and again: every request is counted, however it came out. */
export interface Load {
  /** What came of the requests so far. */
  counted(): Counted;
  /** Ends when the last answer is there. */
  stop(): Promise<Counted>;
}

export interface Counted {
  requests: number;
  failed: number;
  /** Each kind of failure, and how often. */
  failures: Record<string, number>;
  /** Who answered with which version, and how often. */
  versions: Record<string, number>;
}

/** ms */
const ANSWER_WITHIN = 15_000;
/** Between two requests of a client, ms: the machine is needed for other things as well. */
const PAUSE = 10;

export function startLoad(url: string, clients: number): Load {
  const counted: Counted = { requests: 0, failed: 0, failures: {}, versions: {} };
  const stopping = new AbortController();
  const running = Array.from({ length: clients }, () => beClient(url, counted, stopping.signal));
  return {
    counted: () => structuredClone(counted),
    async stop() {
      stopping.abort();
      await Promise.all(running);
      return counted;
    },
  };
}

async function beClient(url: string, counted: Counted, signal: AbortSignal): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const count = (kinds: Record<string, number>, kind: string) => {
    kinds[kind] = (kinds[kind] ?? 0) + 1;
  };
  while (!signal.aborted) {
    counted.requests += 1;
    try {
      count(counted.versions, await ask(url, agent));
    } catch (error) {
      counted.failed += 1;
      count(counted.failures, error instanceof Error ? error.message : String(error));
    }
    await sleep(PAUSE);
  }
  agent.destroy();
}

/** The version that answered. @throws for whatever is no whole answer with status 200. */
function ask(url: string, agent: Agent): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const request = get(url, { agent, signal: AbortSignal.timeout(ANSWER_WITHIN) }, (response) => {
    let body = '';
    response.setEncoding('utf8').on('data', (text: string) => {
      body += text;
    });
    response.on('error', reject);
    response.on('end', () => {
      if (response.statusCode !== 200) return reject(new Error(`status ${response.statusCode}`));
      resolve((JSON.parse(body) as { version: string }).version);
    });
  });
  request.on('error', reject);
  return promise;
}
