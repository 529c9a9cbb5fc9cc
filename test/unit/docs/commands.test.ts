import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parseCommandLine as parseAgent } from '../../../agent/cli.ts';
import { parseCommandLine as parsePublisher } from '../../../publisher/cli/parse.ts';

/** The commands in the code blocks of the pages are accepted by the programs' own command lines. */

const DEPLOYMENT = '01M7YRWEQ3ZRXW8B10876X65VA';

const pages = execFileSync('git', ['ls-files', '*.md'], { encoding: 'utf8' }).trim().split('\n');
const blocks = pages.flatMap((page) =>
  [...readFileSync(page, 'utf8').matchAll(/^ *```(?:sh|console|groovy)\n([\s\S]*?)^ *```$/gm)].map(
    ([, text = '']) => ({ page, text }),
  ),
);
const commands = blocks.flatMap(({ page, text }) =>
  [...text.matchAll(/^ *(?:sudo |\$ |sh ')?(trigger-deploy(?:-agent)? [^\n]*)/gm)].map(([, line = '']) => ({
    page,
    line: line.replace(/'$/, ''),
  })),
);

/** The words of a line as a shell reads them; what follows ` #` is a comment, and ` > FILE` where its output goes. */
function wordsOf(line: string): string[] {
  const [code = ''] = line.split(/\s(?:#|> )/);
  return [...code.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? '');
}

/** Values for the placeholders of the pages. */
const filled = (word: string) =>
  word === 'ID'
    ? DEPLOYMENT
    : word
        .replace(/\$\{VERSION\}/, '1.4.2')
        .replace('i-…', 'i-0a1b2c3d')
        .replace('$seen', '41');

test('there are commands to check', () => {
  expect(commands.length).toBeGreaterThan(30);
});

test.each(commands)('$page: $line', async ({ line }) => {
  const [program, ...argv] = wordsOf(line).map(filled);
  if (program === 'trigger-deploy-agent') {
    const defaults = { version: '0.1.0', config: '/etc/trigger-deploy/agent.yaml', shown: 'agent.yaml' };
    expect(await parseAgent(argv, defaults)).toMatchObject({ command: argv[0] });
    return;
  }
  const options = { version: '0.1.0', columns: 100, knowsService: async () => true };
  expect(await parsePublisher(argv, options)).not.toMatchObject({ verb: 'print' });
});
