#!/usr/bin/env node
import { homedir } from 'node:os';
import packageJson from '../package.json' with { type: 'json' };
import { errorJson, errorLines, exitCodeOf } from './cli/error-output.ts';
import { parseCommandLine } from './cli/parse.ts';
import { complain, helpColumns, print } from './cli/terminal.ts';
import type { ExitCode } from './events.ts';

/** The entry of trigger-deploy: parses the command line, carries it out, and turns errors into exit codes. */

process.exit(await main(process.argv.slice(2)));

async function main(argv: readonly string[]): Promise<ExitCode> {
  // Read before the command line is checked, so that an error in the command line is printed as JSON, too.
  const asJson = /(^|\s)--output[= ]json(\s|$)/.test(argv.join(' '));
  try {
    const options = { version: packageJson.version, columns: helpColumns(), knowsService };
    const invocation = await parseCommandLine(argv, options);
    if (invocation.verb === 'print') {
      print(`${invocation.text}\n`);
      return 0;
    }
    // Loaded only now: neither --help nor a wrong command line needs the AWS SDK.
    const { perform } = await import('./cli/perform.ts');
    return await perform(invocation);
  } catch (error) {
    if (asJson) print(`${errorJson(error, Date.now())}\n`);
    complain(errorLines(error, argv.includes('--verbose')));
    return exitCodeOf(error);
  }
}

async function knowsService(name: string, configFile: string | undefined): Promise<boolean> {
  const { configuresService } = await import('./config/load.ts');
  const source = { cwd: process.cwd(), home: homedir(), variables: process.env, file: configFile };
  return await configuresService(source, name);
}
