import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import { type Environment, loadEnvironment } from '../../../publisher/config/load.ts';
import type { TriggerDeployError } from '../../../shared/errors.ts';

/** There while a test runs whose file calls `makeDirectoriesForEach`. */
export let cwd: string;
export let home: string;
export function makeDirectoriesForEach(): void {
  beforeEach(async () => {
    cwd = await mkdtemp(join(tmpdir(), 'config-'));
    home = join(cwd, 'home');
    await mkdir(join(home, '.config/trigger-deploy'), { recursive: true });
  });
  afterEach(async () => await rm(cwd, { recursive: true }));
}

export const topic = (env: string, region = 'eu-west-1') =>
  `arn:aws:sns:${region}:123456789012:trigger-deploy-${env}`;
export const DEV = `  dev:
    region: eu-west-1
    topic: ${topic('dev')}
    bucket: acme-deploys-dev
`;

interface Wanted {
  env?: string | undefined;
  orHome?: boolean;
  file?: string;
  variables?: Record<string, string>;
}

export async function load(text: string | undefined, wanted: Wanted = {}): Promise<Environment> {
  if (text !== undefined) await writeFile(join(cwd, 'trigger-deploy.yaml'), text);
  const { variables = {}, file } = wanted;
  const name = 'env' in wanted ? wanted.env : 'dev';
  return await loadEnvironment({ cwd, home, variables, file }, { name, orHome: wanted.orHome ?? false });
}

export async function refused(text: string | undefined, wanted: Wanted = {}): Promise<TriggerDeployError> {
  try {
    await load(text, wanted);
  } catch (error) {
    return error as TriggerDeployError;
  }
  throw new Error('it was not refused');
}
export const details = ({ detail = '' }: TriggerDeployError) => detail.replaceAll(`${cwd}/`, '').split('\n');
