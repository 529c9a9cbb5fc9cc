import { hideBin } from 'yargs/helpers';
import { asTriggerDeployError, TriggerDeployError } from '../shared/errors.ts';
import { ensureDirectories, userName } from '../shared/home.ts';
import type { Log } from '../shared/log.ts';
import { openOutput } from '../shared/output.ts';
import { cleanTail } from '../shared/report.ts';
import { onUnsettled } from '../shared/unsettled.ts';
import { type Options, parseCommandLine } from './cli.ts';
import { DEFAULT_CONFIG_PATH } from './config.ts';
import { wireAgent } from './wire-agent.ts';
import { runCommand } from './wire-commands.ts';
import { VERSION } from './wire-instance.ts';

/** The entry point of trigger-deploy-agent: signals and exit codes. wire-*.ts join the adapters to the ports. */

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

async function main(argv: string[]): Promise<void> {
  try {
    const options = await parseCommandLine(argv, {
      version: VERSION,
      config: process.env.TRIGGER_DEPLOY_AGENT_CONFIG ?? DEFAULT_CONFIG_PATH,
      shown: DEFAULT_CONFIG_PATH,
    });
    if (!options) return;
    if (options.command === 'run') return await run(options);
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

ensureDirectories();
const settled = onUnsettled(() => {
  const why = 'internal error: the agent waits for something that never ends';
  fail(new TriggerDeployError('INTERNAL', why, { hint: 'please report this with the log' }), false);
  process.exit();
});
await main(hideBin(process.argv));
settled();
