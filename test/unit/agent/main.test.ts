import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { AGENT, startProgram } from '../../support/programs.ts';

test('an error shows no control characters of its arguments on the terminal', async () => {
  const service = 'pay\u001b[2J\u0007\u202e';
  const { code, stderr } = await startProgram([AGENT, 'deploy', service, 'a.jar'], { env: {}, cwd: '/' })
    .finished;
  expect(code).toBe(2);
  expect(stderr).toMatch(/^trigger-deploy-agent: pay: a service name [^\n]*\n$/);
});

test('a mistake is explained in English in every locale, from source as well', async () => {
  const source = fileURLToPath(new URL('../../../agent/main.ts', import.meta.url));
  const program = startProgram([source, 'nonsense'], { env: { LC_ALL: 'de_DE.UTF-8' }, cwd: '/' });
  expect((await program.finished).stderr).toContain('Unknown argument: nonsense');
});
