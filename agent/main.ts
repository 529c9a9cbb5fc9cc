import packageJson from '../package.json' with { type: 'json' };
import { cleanTail } from '../shared/clean-text.ts';
import { asTriggerDeployError, TriggerDeployError } from '../shared/errors.ts';
import { ensureDirectories, userName } from '../shared/home.ts';
import type { Log } from '../shared/log.ts';
import { openOutput } from '../shared/output.ts';
import { onUnsettled } from '../shared/unsettled.ts';
import { DEFAULT_CONFIG_PATH, type Options, runOptions } from './options.ts';

/**
 * The entry point of trigger-deploy-agent: signals and exit codes. wire-*.ts join the adapters to the ports. What only
 * other commands need is not loaded for `run`.
 */

const USAGE_CODES: readonly string[] = ['CONFIG_INVALID', 'KEY_INVALID', 'USAGE'];
/** sysexits.h: `systemctl status` shows it as CONFIG, but 2 as INVALIDARGUMENT. */
const EX_CONFIG = 78;

const output = openOutput(process.stdout);
const errors = openOutput(process.stderr);

/** Removes control characters, which a file name or an error may contain, before a text is printed. */
const printable = (text: string) => text.split('\n').map(cleanTail).join('\n');

async function run(options: Options): Promise<never> {
  const stopping = new AbortController();
  let log: Log | undefined;
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(name, () => {
      log?.info(
        { signal: name },
        'stopping: every deployment saves a checkpoint and resumes at the next start',
      );
      stopping.abort(new TriggerDeployError('INTERRUPTED', `the agent was stopped by ${name}`));
    });
  }
  const tell = (error: TriggerDeployError) => {
    fail(error, options.verbose);
    errors.write('  The agent reads the files again every 2 s, and starts when this is corrected.\n');
  };
  const { wireAgent } = await import('./wire-agent.ts');
  const agent = await wireAgent(options, tell, stopping.signal).catch((error: unknown) => {
    if (!stopping.signal.aborted) throw error;
    process.exit(0);
  });
  process.exitCode = undefined;
  log = agent.log;
  await agent.run(stopping.signal);
  // What a step that was left still waits for would keep the process.
  process.exit(0);
}

/** Prints the error, its detail and its hint; with --verbose also the stack and the cause. Sets the exit code. */
function fail(thrown: unknown, verbose: boolean): void {
  const error = asTriggerDeployError(thrown);
  const lines = [`trigger-deploy-agent: ${error.message}`];
  if (error.detail !== undefined) lines.push(error.detail);
  if (error.hint !== undefined) lines.push(`  → ${error.hint}`);
  if (verbose) {
    lines.push(String(error.stack));
    if (error.cause instanceof Error) lines.push(`caused by ${error.cause.stack}`);
  }
  errors.write(`${printable(lines.join('\n'))}\n`);
  const usage = process.env.NOTIFY_SOCKET ? EX_CONFIG : 2;
  process.exitCode = USAGE_CODES.includes(error.code) ? usage : 1;
}

/** An answer that could not be written is no success. Its reader may have closed the pipe (`| head`): nothing to say. */
async function finishOutput(): Promise<void> {
  const lost = await output.flush();
  if (lost === undefined) return;
  process.exitCode ||= 1;
  if (lost.code !== 'EPIPE') {
    errors.write(`trigger-deploy-agent: the output could not be written: ${lost.message}\n`);
  }
}

async function main(argv: readonly string[]): Promise<void> {
  try {
    if (argv.length === 1 && argv[0] === '--version') return output.write(`${packageJson.version}\n`);
    const defaults = { config: process.env.TRIGGER_DEPLOY_AGENT_CONFIG ?? DEFAULT_CONFIG_PATH };
    const options = runOptions(argv, defaults.config) ?? (await parsed(argv, defaults));
    if (!options) return;
    if (options.command === 'run') return await run(options);
    const { runCommand } = await import('./wire-commands.ts');
    const ok = await runCommand(options, {
      by: () => (process.env.SUDO_USER ?? userName(process.env)).slice(0, 64),
      say: (text) => output.write(`${printable(text)}\n`),
      tell: (text) => errors.write(`${printable(text)}\n`),
    });
    if (!ok) process.exitCode = 1;
  } catch (error) {
    fail(error, argv.includes('--verbose'));
  } finally {
    await finishOutput();
  }
}

async function parsed(argv: readonly string[], defaults: { config: string }): Promise<Options | undefined> {
  const { parseCommandLine } = await import('./cli.ts');
  return await parseCommandLine(argv, {
    ...{ version: packageJson.version, shown: DEFAULT_CONFIG_PATH },
    ...defaults,
  });
}

ensureDirectories();
const settled = onUnsettled(() => {
  const why = 'internal error: the agent waits for something that never ends';
  fail(new TriggerDeployError('INTERNAL', why, { hint: 'please report this with the log' }), false);
  process.exit();
});
// Not awaited here: a bundle is no ES module.
void main(process.argv.slice(2)).then(settled);
