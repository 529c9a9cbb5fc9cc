import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Session } from '../../../../publisher/session.ts';
import { keys } from '../../../../shared/names.ts';
import { openStage, type Stage } from '../../../support/publisher/stage.ts';

/** `latest` among many versions. */

const DAY = 24 * 3_600_000;
const COUNT = 100;

let stage: Stage;
let session: Session;
beforeEach(async () => {
  stage = await openStage();
  session = await stage.open();
});
afterEach(async () => await stage.close());

/** 100 versions, pushed a day apart, the last one a day ago. `written` says when S3 wrote the manifest. */
async function push(written: (pushedAt: number) => number): Promise<void> {
  const signer = await session.signer();
  const artifacts = [{ name: 'app.jar', size: 3, sha256: 'a'.repeat(64), role: 'package' }];
  for (let n = 1; n <= COUNT; n += 1) {
    const at = Date.now() - n * DAY;
    const about = {
      v: 1,
      service: 'payments',
      version: `1.0.${COUNT - n}`,
      artifacts,
      pushedBy: 'ci',
      nonce: 'n',
    };
    const text = await signer.sign('td-manifest+jws', { ...about, pushedAt: new Date(at).toISOString() });
    stage.cloud.putObject(
      stage.bucket,
      keys.manifest('payments', about.version),
      text,
      new Date(written(at)),
    );
  }
}
const reads = () => stage.cloud.requests.filter(({ operation }) => operation === 'GetObject').length;

it('reads the manifests that were written last, and no others', async () => {
  await push((pushedAt) => pushedAt + 1000);
  expect(await session.record.versions.resolve('payments', 'latest')).toMatchObject({ version: '1.0.99' });
  expect(reads()).toBe(1);
});

it('goes by the signed times where all manifests were written on one day', async () => {
  const copied = Date.now();
  await push((pushedAt) => copied - (copied - pushedAt) / 100_000);
  expect(await session.record.versions.resolve('payments', 'latest')).toMatchObject({ version: '1.0.99' });
  expect(reads()).toBe(COUNT);
});

it('goes by the signed times also where the oldest manifest was written last', async () => {
  await push((pushedAt) => Date.now() - (pushedAt % 1000) * 1000);
  stage.cloud.putObject(stage.bucket, keys.manifest('payments', '1.0.0'), old(), new Date());
  expect(await session.record.versions.resolve('payments', 'latest')).toMatchObject({ version: '1.0.99' });
});

const old = () => stage.cloud.object(stage.bucket, keys.manifest('payments', '1.0.0'))?.body ?? '';
