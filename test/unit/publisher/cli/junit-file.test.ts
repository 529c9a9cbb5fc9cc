import { lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openJUnitFile } from '../../../../publisher/cli/junit-file.ts';
import { elements } from '../../../support/publisher/junit-schema.ts';
import { instance, started } from '../../../support/publisher/render-samples.ts';
import { parseXml } from '../../../support/publisher/strict-xml.ts';

const ABOUT = { command: 'deploy payments 1.4.2', group: 'payments.dev' };

async function directory(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'junit-file-'));
  onTestFinished(() => rm(made, { recursive: true, force: true }));
  return made;
}
const outcomesIn = async (file: string) =>
  elements(parseXml(await readFile(file, 'utf8')), 'testcase').map(
    ({ children }) => children[0]?.name ?? 'passed',
  );

test('a file of an earlier build is replaced before anything happens, and again at the end', async () => {
  const file = join(await directory(), 'deploy.xml');
  await writeFile(file, 'of an earlier build');
  const junit = openJUnitFile(file, ABOUT);
  expect(await outcomesIn(file)).toEqual(['error']);
  junit.event(started([instance('i-1', 'a')]));
  junit.ended({ code: 0 });
  expect(await outcomesIn(file)).toEqual(['skipped']);
});

test('nothing else is left in the directory', async () => {
  const made = await directory();
  openJUnitFile(join(made, 'deploy.xml'), ABOUT).ended({ code: 0 });
  expect(await readdir(made)).toEqual(['deploy.xml']);
});

test('a link stays, and the file that it names is replaced', async () => {
  const [made, other] = [await directory(), await directory()];
  await writeFile(join(other, 'kept.xml'), 'of an earlier build');
  await symlink(join(other, 'kept.xml'), join(made, 'deploy.xml'));
  openJUnitFile(join(made, 'deploy.xml'), ABOUT).ended({ code: 0 });
  expect((await lstat(join(made, 'deploy.xml'))).isSymbolicLink()).toBe(true);
  expect(await outcomesIn(join(other, 'kept.xml'))).toEqual(['passed']);
  expect([await readdir(made), await readdir(other)]).toEqual([['deploy.xml'], ['kept.xml']]);
});

test('a link that waits where the next document is written is not followed', async () => {
  const made = await directory();
  await writeFile(join(made, 'secret'), 'of another user');
  await symlink('secret', join(made, `deploy.xml.${process.pid}.tmp`));
  openJUnitFile(join(made, 'deploy.xml'), ABOUT).ended({ code: 0 });
  expect(await readFile(join(made, 'secret'), 'utf8')).toBe('of another user');
});

describe('what cannot be written', () => {
  test('is refused before anything is announced', async () => {
    const made = await directory();
    await mkdir(join(made, 'taken'));
    for (const file of [join(made, 'no', 'deploy.xml'), join(made, 'taken'), '/dev/null']) {
      expect(() => openJUnitFile(file, ABOUT)).toThrow(
        expect.objectContaining({ code: 'USAGE', message: expect.stringContaining(`cannot write ${file}`) }),
      );
    }
    expect(await readdir(made)).toEqual(['taken']);
  });

  test('at the end is no failure of the command', async () => {
    const made = await directory();
    const junit = openJUnitFile(join(made, 'deploy.xml'), ABOUT);
    await rm(made, { recursive: true });
    junit.ended({ code: 0 });
  });
});
