import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';

const HOME = new URL('../../../shared/home.ts', import.meta.url).href;

it.runIf(process.getuid?.() === 0)(
  'a uid without a name and without HOME has the home / and a name (left out without root)',
  () => {
    const script = `import { homedir } from 'node:os';
    import { ensureDirectories, userName } from '${HOME}';
    process.setuid(54_321);
    ensureDirectories();
    console.log(homedir(), userName({}), userName({ USER: 'ann' }));`;
    const typed = ['--input-type=module', '--disable-warning=ExperimentalWarning', '-e', script];
    // Started as root: that user may not read the directory in which the project lies.
    const said = execFileSync(process.execPath, typed, { env: {}, encoding: 'utf8', cwd: '/' });
    expect(said).toBe('/ uid 54321 ann\n');
  },
);

it('a working directory that was removed becomes /', () => {
  const script = `import { mkdtempSync, rmdirSync } from 'node:fs';
    import { ensureDirectories } from '${HOME}';
    const removed = mkdtempSync('/tmp/td-removed-');
    process.chdir(removed);
    rmdirSync(removed);
    ensureDirectories();
    console.log(process.cwd());`;
  const typed = ['--input-type=module', '--disable-warning=ExperimentalWarning', '-e', script];
  expect(execFileSync(process.execPath, typed, { encoding: 'utf8' })).toBe('/\n');
});
