import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { placedFile } from '../../../shared/placed-file.ts';
import { temporaryDirectory } from '../../support/host/temporary.ts';
import { proved } from '../../support/reliability.ts';

test('FILE=PATH/IN/RELEASE names the file, its path and the name under which it is stored', async () => {
  expect(await placedFile('/x/prd.yml=config/app.yml')).toEqual({
    ...{ file: '/x/prd.yml', path: 'config/app.yml', name: 'config@app.yml' },
  });
  expect(await placedFile('/x/prd.yml=app.yml')).toEqual({ file: '/x/prd.yml', name: 'app.yml' });
  expect(await placedFile('/x/prd.yml')).toEqual({ file: '/x/prd.yml', name: 'prd.yml' });
});

test('a file or directory with = in its name can be used: an existing file is taken whole, and the last = separates', async () => {
  const root = await temporaryDirectory();
  const [odd, deep] = [join(root, 'a=b.yml'), join(root, 'x=1', 'app.yml')];
  await mkdir(join(root, 'x=1'));
  for (const path of [odd, deep]) await writeFile(path, 'a: 1');
  expect(await placedFile(deep)).toEqual({ file: deep, name: 'app.yml' });
  expect(await placedFile(`${odd}=b.yml`)).toEqual({ file: odd, name: 'b.yml' });
  expect(await placedFile(`${deep}=conf/app.yml`)).toMatchObject({ file: deep, path: 'conf/app.yml' });
  expect((await placedFile(odd)).wrong).toMatch('a file name has letters');
  proved('names', 'names with an equals sign');
});

test.each(['a=', 'a=/etc/x', 'a=../x', 'a=x/../y', 'a=x//y', 'a=x/', 'a=.release.json', 'a=x/.release.json'])(
  '%s is refused',
  async (text) => {
    expect((await placedFile(text)).wrong).toBeDefined();
  },
);
