import { spawn } from 'node:child_process';
import type { Cloud } from '../../support/cloud/cloud.ts';
import type { Instances } from '../instances.ts';

/** What one command of the publisher took. */
export interface Measured {
  /** The words of the command line. */
  command: string;
  exitCode: number | null;
  /** Until the first byte on stdout or stderr, and until the end, ms. */
  firstOutputMs: number;
  wallMs: number;
  cpuMs: number;
  /** The most memory at any time, MB of 1,000,000 bytes. */
  peakMb: number;
  /** Requests to AWS by operation, and all together. */
  calls: Record<string, number>;
  allCalls: number;
  /** Lines on stdout. */
  lines: number;
  /** The beginning of stderr. */
  said: string;
}

/** A command that takes longer than this is ended, ms. */
const LONGEST_MS = 180_000;
/** Prints what the process has used, as the last line of its stderr. */
const USAGE = `data:text/javascript,import{writeSync}from'node:fs';process.on('exit',()=>{const{userCPUTime:u,systemCPUTime:s,maxRSS:m}=process.resourceUsage();writeSync(2,'\\nUSAGE '+(u+s)+' '+m+'\\n')})`;

/** Runs a command of the publisher to its end. */
export async function measure(
  { publisher }: Instances,
  cloud: Cloud,
  args: readonly string[],
): Promise<Measured> {
  const before = cloud.requests.length;
  const [node, program] = publisher.argv;
  const began = performance.now();
  const child = spawn(node, ['--import', USAGE, program, ...args], {
    cwd: publisher.cwd,
    env: { ...publisher.env, TRIGGER_DEPLOY_ENV: 'dev' },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: LONGEST_MS,
  });
  let firstOutputMs: number | undefined;
  const [stdout, stderr] = [child.stdout, child.stderr].map((stream) => {
    const kept = { text: '' };
    stream.setEncoding('utf8').on('data', (text: string) => {
      firstOutputMs ??= performance.now() - began;
      kept.text += text;
    });
    return kept;
  }) as [{ text: string }, { text: string }];
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const wallMs = performance.now() - began;
  const [, cpu = '0', memory = '0'] = /\nUSAGE (\d+) (\d+)\n/.exec(stderr.text) ?? [];
  const requests = cloud.requests.slice(before).filter((one) => one.accessKeyId === 'publisher');
  const calls: Record<string, number> = {};
  for (const { operation } of requests) calls[operation] = (calls[operation] ?? 0) + 1;
  return {
    ...{ command: args.join(' '), exitCode },
    firstOutputMs: Math.round(firstOutputMs ?? wallMs),
    wallMs: Math.round(wallMs),
    cpuMs: Math.round(Number(cpu) / 1000),
    peakMb: Math.round((Number(memory) * 1024) / 1e6),
    ...{ calls, allCalls: requests.length },
    lines: stdout.text.split('\n').length - 1,
    said: stderr.text.replace(/\nUSAGE .*\n/, '').slice(0, 400),
  };
}
