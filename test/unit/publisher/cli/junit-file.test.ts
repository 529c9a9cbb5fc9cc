import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
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
