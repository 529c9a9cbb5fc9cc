import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect, parseArgs } from 'node:util';
import { type Fleet, startFleet } from '../fleet/fleet.ts';
import { agentLogs, DemoFailure, offerMore, type Stage, tellStory } from './story.ts';

/** `npm run demo [-- --keep]`: however it ends, it leaves no process and no file behind. */

/** How long the story may take to notice that it is over. */
const NOTICED_WITHIN_MS = 3000;
const PARENT_POLL_MS = 500;
const SHOW_CURSOR = '\u001b[?25h';
const EXIT_BY_SIGNAL = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

class Ended extends Error {
  readonly exitCode: number;
  constructor(exitCode: number) {
    super('the demo was ended');
    this.exitCode = exitCode;
  }
}

const ending = new AbortController();
const { signal } = ending;
// Ctrl-C comes twice under npm, which passes on what the terminal sent already: the handlers stay.
for (const [name, exitCode] of Object.entries(EXIT_BY_SIGNAL)) {
  process.on(name, () => ending.abort(new Ended(exitCode)));
}
// The terminal is closed, or the reader of the pipe has ended.
process.stdout.on('error', () => ending.abort(new Ended(1)));
process.stderr.on('error', () => ending.abort(new Ended(1)));
// npm passes on neither SIGHUP nor, of course, SIGKILL.
const { ppid } = process;
setInterval(() => process.ppid !== ppid && ending.abort(new Ended(1)), PARENT_POLL_MS).unref();
process.on('uncaughtException', (error) => ending.abort(error));

const { keep } = parseArgs({ options: { keep: { type: 'boolean', default: false } } }).values;
process.exitCode = await perform();

async function perform(): Promise<number> {
  const startedAt = performance.now();
  let fleet: Fleet | undefined;
  let exitCode = 0;
  try {
    fleet = await startFleet();
    signal.throwIfAborted();
    await Promise.race([play({ fleet, signal }), tooLate()]);
  } catch (error) {
    exitCode = explain(signal.aborted ? signal.reason : error, fleet);
  }
  // Whichever command was drawing a table may have been killed over it.
  if (process.stdout.isTTY) process.stdout.write(SHOW_CURSOR);
  await fleet?.stop();
  console.log(`\nNo process and no file is left. ${((performance.now() - startedAt) / 1000).toFixed(1)} s.`);
  return exitCode;
}

async function play(stage: Stage): Promise<void> {
  const console = await tellStory(stage);
  if (!keep) return;
  await offerMore(stage, console);
  if (!signal.aborted) await once(signal, 'abort');
  if (!(signal.reason instanceof Ended)) throw signal.reason;
}

/** Rejects when the story has not noticed in time that it is over. */
async function tooLate(): Promise<never> {
  if (!signal.aborted) await once(signal, 'abort');
  await sleep(NOTICED_WITHIN_MS, undefined, { ref: false });
  throw signal.reason;
}

/** What went wrong, if anything did, and the exit code for it. */
function explain(reason: unknown, fleet: Fleet | undefined): number {
  if (reason instanceof Ended) {
    console.log('\nEnded: stopping everything that was started.');
    return reason.exitCode;
  }
  console.error(`\nThe demo failed: ${reason instanceof DemoFailure ? reason.message : inspect(reason)}`);
  if (fleet) console.error(agentLogs(fleet));
  return 1;
}
