#!/usr/bin/env node
import { homedir } from 'node:os';
import packageJson from '../package.json' with { type: 'json' };
import { TriggerDeployError } from '../shared/errors.ts';
import { ensureDirectories } from '../shared/home.ts';
import { onUnsettled } from '../shared/unsettled.ts';
import { errorJson, errorLines, exitCodeOf } from './cli/error-output.ts';
import { parseCommandLine } from './cli/parse.ts';
import { complain, finishOutput, helpColumns, print } from './cli/terminal.ts';
import { VERBS, type Verb } from './cli/verbs.ts';
import type { ExitCode } from './events.ts';

/** The entry of trigger-deploy: parses the command line, carries it out, and turns errors into exit codes. */

ensureDirectories();
onUnsettled(() => {
  const why = 'internal error: the command waits for something that never ends';
  const hint = 'run it again; `trigger-deploy status` shows what it has done. Please report this';
  process.exit(tell(new TriggerDeployError('INTERNAL', why, { hint }), process.argv.slice(2)));
});
process.exit(await main(process.argv.slice(2)));

async function main(argv: readonly string[]): Promise<ExitCode> {
  try {
    const options = { version: packageJson.version, columns: helpColumns(), knowsService };
    const invocation = await parseCommandLine(argv, options);
    if (invocation.verb === 'print') {
      print(`${invocation.text}\n`);
      return await finishOutput(0, true);
    }
    // Loaded only now: neither --help nor a wrong command line needs the AWS SDK.
    const { perform } = await import('./cli/perform.ts');
    return await finishOutput(await perform(invocation), wantsJson(argv) || isAnswer(invocation.verb));
  } catch (error) {
    return await finishOutput(tell(error, argv), true);
  }
}

/** Prints the error; returns its exit code. */
function tell(error: unknown, argv: readonly string[]): ExitCode {
  if (wantsJson(argv)) print(`${errorJson(error, Date.now())}\n`);
  complain(errorLines(error, argv.includes('--verbose')));
  return exitCodeOf(error);
}

/** Read before the command line is checked, so that an error in the command line is printed as JSON, too. */
function wantsJson(argv: readonly string[]): boolean {
  return /(^|\s)--output[= ]json(\s|$)/.test(argv.join(' '));
}

async function knowsService(name: string, configFile: string | undefined): Promise<boolean> {
  const { configuresService } = await import('./config/load.ts');
  const source = { cwd: process.cwd(), home: homedir(), variables: process.env, file: configFile };
  return await configuresService(source, name);
}

/** Whether what the verb prints is its purpose. */
function isAnswer(verb: Verb): boolean {
  return VERBS[verb].group === 'look' || verb === 'completion';
}
