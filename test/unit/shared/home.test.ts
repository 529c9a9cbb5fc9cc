import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';

const HOME = new URL('../../../shared/home.ts', import.meta.url).href;

it.runIf(process.getuid?.() === 0)(
  'a uid without a name and without HOME has the home / and a name (left out without root)',
  () => {
    const script = `import { homedir } from 'node:os';
    import { ensureHome, userName } from '${HOME}';
    ensureHome();
    console.log(homedir(), userName({}), userName({ USER: 'ann' }));`;
    const typed = ['--input-type=module', '--disable-warning=ExperimentalWarning', '-e', script];
    const said = execFileSync(process.execPath, typed, { uid: 54_321, env: {}, encoding: 'utf8', cwd: '/' });
    expect(said).toBe('/ uid 54321 ann\n');
  },
);
