import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';

/**
 * Runs the `run:` steps of a GitHub Actions workflow in real shells, as its runner does, which cannot be had here
 * (GitHub Docs, "Workflow syntax" and "Canceling a workflow run"): `bash -e`, jobs by `needs`, a failed step ends its
 * job, and a cancelled step gets SIGINT, then only steps with `if: cancelled()` or `if: always()` run. Steps with `uses:` are
 * left out.
 */

interface Step {
  name?: string;
  uses?: string;
  run?: string;
  if?: string;
  env?: Record<string, string>;
}
interface Workflow {
  env?: Record<string, string>;
  jobs: Record<string, { needs?: string; steps: Step[] }>;
}

export interface WorkflowRun {
  conclusion: 'success' | 'failure' | 'cancelled';
  output: string;
}

export interface Cancelling {
  /** The step that is cancelled, and the text in its output at which it is. */
  step: string;
  at: string;
}

export async function runWorkflow(
  file: string,
  options: {
    env: Record<string, string>;
    cwd: string;
    contexts: Record<string, string>;
    cancel?: Cancelling;
  },
): Promise<WorkflowRun> {
  const workflow = parse(await readFile(file, 'utf8')) as Workflow;
  const run: WorkflowRun = { conclusion: 'success', output: '' };
  const resolved = (env: Record<string, string> = {}) =>
    Object.fromEntries(Object.entries(env).map(([key, text]) => [key, substituted(text, options.contexts)]));
  for (const { steps } of Object.values(workflow.jobs)) {
    // Each job of the example needs the one before it.
    if (run.conclusion !== 'success') break;
    for (const step of steps) {
      if (step.run === undefined || !isDue(step.if, run.conclusion)) continue;
      const cancel = options.cancel?.step === step.name ? options.cancel : undefined;
      const env = { ...options.env, ...resolved(workflow.env), ...resolved(step.env) };
      const ended = await runStep(step.run, { env, cwd: options.cwd, cancelAt: cancel?.at });
      run.output += ended.output;
      if (ended.cancelled) run.conclusion = 'cancelled';
      else if (ended.code !== 0 && run.conclusion === 'success') run.conclusion = 'failure';
    }
  }
  return run;
}

function isDue(condition: string | undefined, conclusion: WorkflowRun['conclusion']): boolean {
  switch (condition) {
    case undefined:
      return conclusion === 'success';
    case 'cancelled()':
      return conclusion === 'cancelled';
    case 'always()':
      return true;
    default:
      throw new Error(`the runner of the tests does not know the condition ${condition}`);
  }
}

function substituted(text: string, contexts: Record<string, string>): string {
  return String(text).replace(/\$\{\{\s*([\w.]+)\s*\}\}/g, (_, name: string) => {
    const value = contexts[name];
    if (value === undefined) throw new Error(`no value for ${name}`);
    return value;
  });
}

async function runStep(
  script: string,
  { env, cwd, cancelAt }: { env: Record<string, string>; cwd: string; cancelAt: string | undefined },
): Promise<{ code: number | null; cancelled: boolean; output: string }> {
  const argv = ['--noprofile', '--norc', '-e', '-c', script];
  const child = spawn('bash', argv, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const { pid } = child;
  let output = '';
  let cancelled = false;
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (cancelAt === undefined || cancelled || pid === undefined || !output.includes(cancelAt)) return;
      cancelled = true;
      process.kill(-pid, 'SIGINT');
    });
  }
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, cancelled, output };
}
