import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { type FuzzCase, fuzzCase } from './archive-fuzz.ts';
import { byTar, type Tree } from './as-tar.ts';
import { temporaryDirectory } from './temporary.ts';
import { flagsOfTheUnit } from './unit-heap.ts';

/** What the agent's code made of one random archive: a tree, a refusal, or an error that is none. */
interface Outcome {
  agent?: Tree | string;
  threw?: string;
  /** How long it took, ms. */
  took: number;
  /** The largest resident set of the process so far, KiB. */
  memory: number;
}

export interface FuzzResult {
  /** What is wrong, with the number of the case and how it was made. */
  faults: string[];
  unpacked: number;
  refused: number;
  /** The largest resident set, KiB; the longest case, ms. */
  memory: number;
  longest: number;
}

/** An archive of the generator is 20 MB at most when it is unpacked. */
const TAKES_AT_MOST = 20_000; // ms, on a loaded machine too
const MEMORY_AT_MOST = 200 * 1024; // KiB

/** Unpacks `count` random archives with GNU tar, and with the agent's code in one process with the unit's limits. */
export async function fuzzArchives(seed: number, from: number, count: number): Promise<FuzzResult> {
  const directory = await temporaryDirectory(existsSync('/dev/shm') ? '/dev/shm' : undefined);
  await using agent = await startUnpacking(directory);
  const result: FuzzResult = { faults: [], unpacked: 0, refused: 0, memory: 0, longest: 0 };
  for (let number = from; number < from + count; number += 1) {
    const one = fuzzCase(seed, number);
    const archive = join(directory, 'archive');
    await writeFile(archive, one.bytes);
    const outcome = await agent.unpack(archive);
    // GNU tar may make names that are not UTF-8; then the agent has refused.
    const isTree = typeof outcome.agent === 'object';
    const tar = isTree ? await byTar(archive, join(directory, 'tar')) : undefined;
    const fault = faultIn(one, outcome, tar?.tree);
    if (fault) result.faults.push(`case ${number} (${one.what}): ${fault}`);
    if (typeof outcome.agent === 'string') result.refused += 1;
    else result.unpacked += 1;
    result.memory = Math.max(result.memory, outcome.memory);
    result.longest = Math.max(result.longest, outcome.took);
    // A process that has ended answers no further case.
    if (outcome.memory === 0) break;
  }
  return result;
}

function faultIn(one: FuzzCase, { agent, threw, took, memory }: Outcome, tar: Tree | undefined) {
  if (agent === undefined) return `no refusal: ${threw}`;
  if (took > TAKES_AT_MOST) return `it took ${took} ms`;
  if (memory > MEMORY_AT_MOST) return `the process has ${memory} KiB`;
  if (typeof agent === 'string') {
    if (one.whole) return `refused, although nothing is wrong with it: ${agent}`;
    return isClear(agent) ? undefined : `not a clear message: ${JSON.stringify(agent)}`;
  }
  if (tar === undefined || isDeepStrictEqual(agent, tar)) return undefined;
  const names = [...new Set([...Object.keys(agent), ...Object.keys(tar)])];
  const differ = names.filter((name) => agent[name] !== tar[name]);
  return differ.map((name) => `${name} is ${agent[name]}, with tar ${tar[name]}`).join('; ');
}

/** Words, without what only a program understands. */
function isClear(message: string): boolean {
  const inner = /undefined|NaN|\[object|\bnull\b|base256|Cannot read|is not a function|ERR_/;
  return message.length < 600 && !inner.test(message) && !/[\u0000-\u001f\u007f-\u009f]/.test(message);
}

const root = new URL('../../../', import.meta.url);
const PROGRAM = `
  import { createInterface } from 'node:readline';
  import { byAgent } from ${JSON.stringify(new URL('test/support/host/as-tar.ts', root))};
  const [, into] = process.argv;
  for await (const archive of createInterface({ input: process.stdin })) {
    const began = performance.now();
    const made = await byAgent(archive, into).then((agent) => ({ agent }), (error) => ({ threw: error.stack }));
    const took = Math.round(performance.now() - began);
    console.log(JSON.stringify({ ...made, took, memory: process.resourceUsage().maxRSS }));
  }`;

/** A process that unpacks one archive after the other. One that is silent for a minute is ended. */
async function startUnpacking(directory: string) {
  const into = join(directory, 'agent');
  await mkdir(into);
  const argv = [...(await flagsOfTheUnit()), '--input-type=module', '--eval', PROGRAM, into];
  const child = spawn(process.execPath, argv, { stdio: ['pipe', 'pipe', 'pipe'] });
  let [output, errors] = ['', ''];
  let onAnswer = () => {};
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    if (output.endsWith('\n')) onAnswer();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-4000);
  });
  child.on('close', () => onAnswer());
  child.stdin.on('error', () => {});
  return {
    async unpack(archive: string): Promise<Outcome> {
      output = '';
      const timer = setTimeout(() => child.kill('SIGKILL'), 60_000);
      const answered = new Promise<void>((resolve) => {
        onAnswer = resolve;
      });
      child.stdin.write(`${archive}\n`);
      await answered;
      clearTimeout(timer);
      if (output.endsWith('\n')) return JSON.parse(output) as Outcome;
      const how = child.signalCode ?? `exit code ${child.exitCode}`;
      return { threw: `the process ended with ${how}: ${errors}`, took: 0, memory: 0 };
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const closed = new Promise((resolve) => child.once('close', resolve));
      child.stdin.end();
      await closed;
    },
  };
}
