import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { expect, test } from 'vitest';
import { parseCommandLine } from '../../../publisher/cli/parse.ts';

/** The examples of CI. The long test of the same name runs them; these say at once what a renamed option breaks. */

const WORKFLOW = 'examples/github-actions/deploy.yml';
const read = (file: string) => readFileSync(file, 'utf8');

/** The parser imports a JSON file without the import attribute that Node demands; bundlers do not. */
async function importParser() {
  const hooks = registerHooks({
    resolve(specifier, context, next) {
      const resolved = next(specifier, context);
      return specifier.endsWith('.json') ? { ...resolved, importAttributes: { type: 'json' } } : resolved;
    },
  });
  try {
    return await import('@actions/workflow-parser');
  } finally {
    hooks.deregister();
  }
}

test('the example workflow is valid by the parser of GitHub Actions', async () => {
  const { convertWorkflowTemplate, NoOperationTraceWriter, parseWorkflow } = await importParser();
  const { context, value } = parseWorkflow(
    { name: WORKFLOW, content: read(WORKFLOW) },
    new NoOperationTraceWriter(),
  );
  if (value === undefined) throw new Error('not parsed');
  const { jobs } = await convertWorkflowTemplate(context, value);
  expect(context.errors.getErrors().map(({ message }) => message)).toEqual([]);
  expect(jobs.map(({ id }) => id.value)).toEqual(['dev', 'prd']);
});

/** The commands of an example, each on one line, with values for the variables. */
function commandsOf(file: string): string[] {
  const text = read(file)
    .replace(/\\?\n +(?=--)/g, ' ')
    .replaceAll('"$SERVICE"', 'payments')
    .replaceAll('"$VERSION"', '1.4.2')
    .replaceAll('"$id"', '01M7YRWEQ3ZRXW8B10876X65VA')
    .replaceAll('"$env"', 'dev')
    .replace(/"\$[^"]*"|"run [^"]*"/g, 'text');
  return [...text.matchAll(/^ *(?:run: |sh '+)?(trigger-deploy [^\n'|]*)/gm)].map(([, line = '']) =>
    line.trim(),
  );
}

const commands = ['examples/jenkins/Jenkinsfile', WORKFLOW].flatMap((file) =>
  commandsOf(file).map((line) => ({ file, line })),
);

test('both examples push, deploy, promote, cancel and watch', () => {
  expect(commands).toHaveLength(12);
});

test.each(commands)('$file: $line', async ({ line }) => {
  const [, ...argv] = line.split(/\s+/);
  const options = { version: '0.1.0', columns: 100, knowsService: async () => true };
  expect(await parseCommandLine(argv, options)).not.toMatchObject({ verb: 'print' });
});
