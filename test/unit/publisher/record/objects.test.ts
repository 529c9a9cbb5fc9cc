import { afterAll, beforeAll, expect, it } from 'vitest';
import * as z from 'zod';
import { type Objects, openObjects } from '../../../../publisher/record/objects.ts';
import { fakeAws, signAs } from '../../../support/aws/fixture.ts';
import { openStage, type Stage } from '../../../support/publisher/stage.ts';

let stage: Stage;
let objects: Objects;
beforeAll(async () => {
  stage = await openStage();
  const session = await stage.open();
  // The keys of this test belong to nobody.
  signAs(session.aws, 'operator');
  objects = session.record.objects;
});
afterAll(async () => await stage.close());

const put = (key: string) => (asked: { operation: string; key?: string }) =>
  asked.operation === 'PutObject' && asked.key === key;

it('putNew creates an object, and refuses to replace one', async () => {
  await objects.putNew('a.json', '"mine"');
  await expect(objects.putNew('a.json', '"theirs"')).rejects.toMatchObject({ code: 'CONDITION_FAILED' });
  expect((await objects.read('a.json'))?.text).toBe('"mine"');
});

it('putIf replaces the version it names, and no other', async () => {
  const first = await objects.putNew('b.json', '1');
  const second = await objects.putIf('b.json', '2', first);
  await expect(objects.putIf('b.json', '3', first)).rejects.toMatchObject({ code: 'CONDITION_FAILED' });
  expect(await objects.read('b.json')).toMatchObject({ text: '2', etag: second });
});

it('putIf on a deleted object is refused', async () => {
  await expect(objects.putIf('gone.json', '1', '"0"')).rejects.toMatchObject({ code: 'CONDITION_FAILED' });
  expect(await objects.exists('gone.json')).toBe(false);
});

it('a write whose answer was lost succeeds when the retry finds it', async () => {
  stage.cloud.fail('answer-lost', put('c.json'));
  const etag = await objects.putNew('c.json', '{"nonce":"1"}');
  stage.cloud.fail('answer-lost', put('c.json'));
  expect(await objects.putIf('c.json', '{"nonce":"2"}', etag)).toBe((await objects.read('c.json'))?.etag);
});

it('a conflict with another write in progress is retried', async () => {
  stage.cloud.fail('conflict', put('d.json'), 2);
  await objects.putNew('d.json', '1');
  expect((await objects.read('d.json'))?.text).toBe('1');
});

it('a missing object is undefined; a malformed one is an error that names its key', async () => {
  expect(await objects.read('none.json')).toBeUndefined();
  expect(await objects.readJson('none.json', z.string())).toBeUndefined();
  stage.cloud.putObject(stage.bucket, 'bad.json', '{"a":1}');
  await expect(objects.readJson('bad.json', z.object({ a: z.string() }))).rejects.toMatchObject({
    code: 'DOCUMENT_INVALID',
    message: expect.stringMatching(/s3:\/\/deploys-dev\/bad\.json.*: a:/),
  });
  stage.cloud.putObject(stage.bucket, 'half.json', '{"a":');
  await expect(objects.readJson('half.json', z.unknown())).rejects.toMatchObject({
    code: 'DOCUMENT_INVALID',
  });
});

it('lists every page, and the folders right below a prefix', async () => {
  for (let i = 0; i < 1100; i += 1) stage.cloud.putObject(stage.bucket, `many/${i}/x`, '');
  expect(await objects.list('many/')).toHaveLength(1100);
  stage.cloud.putObject(stage.bucket, 'few/b/x', '');
  stage.cloud.putObject(stage.bucket, 'few/a/y/z', '');
  stage.cloud.putObject(stage.bucket, 'few/file', '');
  expect(await objects.folders('few/')).toEqual(['a', 'b']);
});

it('a missing bucket is BUCKET_NOT_FOUND', async () => {
  const session = await stage.open();
  const { openObjects } = await import('../../../../publisher/record/objects.ts');
  const elsewhere = openObjects(session.aws, 'no-such-bucket');
  await expect(elsewhere.read('a')).rejects.toMatchObject({ code: 'BUCKET_NOT_FOUND' });
  await expect(elsewhere.list('a')).rejects.toMatchObject({ code: 'BUCKET_NOT_FOUND' });
});

it('a page of a proxy with the status 200 is neither an empty list, nor a write, nor an object', async () => {
  const aws = await fakeAws((request, response) => {
    request.resume().on('end', () => response.end('<html>sign in</html>'));
  });
  const objects = openObjects(aws, 'acme');
  for (const ask of [
    () => objects.folders('state/'),
    () => objects.putNew('k', '{}'),
    () => objects.exists('k'),
  ]) {
    await expect(ask()).rejects.toMatchObject({
      code: 'AWS_UNREACHABLE',
      message: expect.stringContaining('not an answer of S3'),
    });
  }
});

it('what is not signed is read up to 128 KiB', async () => {
  stage.cloud.putObject(stage.bucket, 'big.json', JSON.stringify('x'.repeat(200_000)));
  await expect(objects.readJson('big.json', z.string())).rejects.toMatchObject({
    code: 'DOCUMENT_INVALID',
    message: expect.stringContaining('big.json is larger than 131072 bytes'),
  });
});

it('more than 100,000 keys below a prefix are refused, with where they are', async () => {
  const keys = '<Contents><Key>state/a</Key></Contents>'.repeat(25_000);
  let asked = 0;
  const aws = await fakeAws((request, response) => {
    asked += 1;
    const more = asked < 6;
    const next = more ? `<NextContinuationToken>${asked}</NextContinuationToken>` : '';
    const page = `<ListBucketResult><IsTruncated>${more}</IsTruncated>${next}${keys}</ListBucketResult>`;
    request.resume().on('end', () => response.setHeader('content-type', 'application/xml').end(page));
  });
  await expect(openObjects(aws, 'acme').list('state/')).rejects.toMatchObject({
    code: 'RECORD_DAMAGED',
    message: expect.stringContaining('s3://acme/state/'),
  });
  expect(asked).toBe(5);
});
