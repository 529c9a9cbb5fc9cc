import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { create } from 'tar';

/** How a version of the sample service behaves; without any of these it is healthy. */
export interface Behaviour {
  healthStatus?: number;
  neverAnswer?: boolean;
  exitAtStart?: boolean;
  exitAfterMs?: number;
  ignoreTerm?: boolean;
}

/** Writes `payments-VERSION.tar.gz` into `dir`: a whole version of the sample service. Returns its path. */
export async function packSampleService(
  dir: string,
  version: string,
  behaviour: Behaviour = {},
): Promise<string> {
  await mkdir(dir, { recursive: true });
  const content = await mkdtemp(join(dir, '.content-'));
  await cp(new URL('server.mjs', import.meta.url), join(content, 'server.mjs'));
  await writeFile(
    join(content, 'behaviour.json'),
    JSON.stringify({ version, healthStatus: 200, ...behaviour }),
  );
  const file = join(dir, `payments-${version}.tar.gz`);
  await create({ gzip: true, file, cwd: content, portable: true }, ['server.mjs', 'behaviour.json']);
  await rm(content, { recursive: true });
  return file;
}
