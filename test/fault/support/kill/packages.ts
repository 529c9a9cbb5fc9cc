import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { create } from 'tar';
import type { Artifact } from '../../../../shared/manifest.ts';
import { scriptJar } from '../../../support/shared/zip.ts';
import { type PackageKind, SERVICE } from './plan.ts';
import { BAD } from './scenarios.ts';

/** The versions that the kill matrix deploys, in `DIR/bucket` by their sha256. */

/** So that half a download is not nothing. */
const PADDING = '/'.repeat(16 * 1024);

/** The same Node program, as a file that is called a jar, or in an archive with files beside it. */
export async function makePackage(dir: string, type: PackageKind, version: string): Promise<Artifact> {
  const program = serverSource(version, version !== BAD);
  if (type === 'jar')
    return await keep(dir, `${SERVICE}-${version}.jar`, 'package', Buffer.from(scriptJar(program, '//')));
  const content = await mkdtemp(join(dir, 'content-'));
  await mkdir(join(content, 'public'));
  await writeFile(join(content, 'server.cjs'), program);
  await writeFile(join(content, 'public', 'index.html'), `<h1>${version}</h1>`);
  const file = join(dir, `${version}.tar`);
  await create({ file, cwd: content, portable: true }, ['server.cjs', 'public']);
  return await keep(dir, `${SERVICE}-${version}.tar`, 'package', await readFile(file));
}

export async function makeConfig(dir: string, version: string): Promise<Artifact> {
  return await keep(dir, 'application.yaml', 'config', Buffer.from(`version: ${version}\n`));
}

async function keep(dir: string, name: string, role: Artifact['role'], bytes: Buffer): Promise<Artifact> {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  await writeFile(join(dir, 'bucket', sha256), bytes);
  return { name, role, size: bytes.length, sha256 };
}

function serverSource(version: string, healthy: boolean): string {
  return `'use strict';
const { writeFileSync } = require('node:fs');
const { createServer } = require('node:http');
const [host, port, ready] = process.argv.slice(2);
const answer = (request, response) => {
  response.writeHead(${healthy} || request.url !== '/health' ? 200 : 500);
  response.end(JSON.stringify({ version: '${version}' }));
};
createServer(answer).listen(Number(port), host, () => writeFileSync(ready, ''));
process.on('SIGTERM', () => process.exit(0));
${PADDING}
`;
}
