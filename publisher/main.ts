#!/usr/bin/env node
import { homedir } from 'node:os';
import packageJson from '../package.json' with { type: 'json' };
import { TriggerDeployError } from '../shared/errors.ts';
import { ensureDirectories } from '../shared/home.ts';
import { onUnsettled } from '../shared/unsettled.ts';
import { complain, finishOutput, helpColumns, print } from './cli/standard-output.ts';
import type { ExitCode } from './events.ts';

/** The entry of trigger-deploy: parses the command line, carries it out, and turns errors into exit codes. */

ensureDirectories();
onUnsettled(() => {
  const why = 'internal error: the command waits for something that never ends';
  const hint = 'run it again; `trigger-deploy status` shows what it has done. Please report this';
  void tell(new TriggerDeployError('INTERNAL', why, { hint }), process.argv.slice(2)).then((code) =>
    process.exit(code),
  );
});
// Not awaited here: a bundle is no ES module.
void main(process.argv.slice(2)).then((code) => process.exit(code));

/** Each part of the program is loaded when it is needed: `--version` needs none, a wrong command line not the AWS SDK. */
async function main(argv: readonly string[]): Promise<ExitCode> {
  try {
    if (argv.length === 1 && argv[0] === '--version') {
      print(`${packageJson.version}\n`);
      return await finishOutput(0, true);
    }
    const { parseCommandLine, isAnswer } = await import('./cli/parse.ts');
    const options = { version: packageJson.version, columns: helpColumns(), knowsService };
    const invocation = await parseCommandLine(argv, options);
    if (invocation.verb === 'print') {
      print(`${invocation.text}\n`);
      return await finishOutput(0, true);
    }
    const { perform } = await import('./cli/perform.ts');
    return await finishOutput(await perform(invocation), wantsJson(argv) || isAnswer(invocation.verb));
  } catch (error) {
    return await finishOutput(await tell(error, argv), true);
  }
}

/** Prints the error; returns its exit code. */
async function tell(error: unknown, argv: readonly string[]): Promise<ExitCode> {
  const { errorJson, errorLines, exitCodeOf } = await import('./cli/error-output.ts');
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
