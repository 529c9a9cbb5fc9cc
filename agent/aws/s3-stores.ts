import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import type { Aws } from '../../shared/aws.ts';
import { awsError, awsStatus } from '../../shared/aws-errors.ts';
import { callerUserId } from '../../shared/caller-identity.ts';
import { type Changes, LONGEST_CHANGES, parseChanges } from '../../shared/changes.ts';
import { isCode, TriggerDeployError } from '../../shared/errors.ts';
import { manifest } from '../../shared/manifest.ts';
import { keys } from '../../shared/names.ts';
import { deadline } from '../../shared/retry.ts';
import { bodyBlocks, bodyChunks } from '../../shared/s3-body.ts';
import type { Verifier } from '../../shared/signing.ts';
import type { ArtifactStore, ChangesStore, DesiredStore, Finding, ManifestStore } from '../deploy/ports.ts';
import { finding, isNamed } from './aws-call.ts';

/** A download that gets no byte for this time, ms, has stalled. */
const STALL_MS = 15_000;
/** The timeout of a whole signed document, ms. STALL_MS does not end a download that is slow. */
const DOCUMENT_MS = 60_000;
/** Limit of a signed document, bytes; they have a few KiB. */
const DOCUMENT_LIMIT = 1024 * 1024;
/** S3 API Reference, GetObject: without s3:ListBucket, S3 answers 403 for a missing object, and not 404. */
const DENIED_HINT =
  'allow s3:GetObject on this object, and s3:ListBucket on the bucket: without s3:ListBucket, S3 answers 403 for a missing file';

export interface StoreOptions {
  aws: Aws;
  bucket: string;
  /** For tests, ms. */
  stallMs?: number;
  /** For tests, ms. */
  documentMs?: number;
}

/** The artifacts of the environment's bucket. */
export function createArtifactStore({ aws, bucket, stallMs = STALL_MS }: StoreOptions): ArtifactStore {
  return {
    async read({ service, version, artifact, start, end, block, signal }) {
      signal.throwIfAborted();
      if (start >= end) return nothing();
      const what = `${artifact.name} of ${service} ${version}`;
      const place = {
        Bucket: bucket,
        Key: keys.artifact(service, version, artifact.sha256, artifact.name),
      };
      const command = new GetObjectCommand({ ...place, Range: `bytes=${start}-${end - 1}` });
      try {
        const answer = await aws.s3.send(command, { abortSignal: signal });
        return explained(bodyBlocks(answer, { signal, stallMs, start, block }), (error) =>
          signal.aborted ? error : downloadError(error, what, place),
        );
      } catch (error) {
        signal.throwIfAborted();
        throw downloadError(error, what, place);
      }
    },
  };
}

function downloadError(error: unknown, what: string, place: { Bucket: string; Key: string }): Error {
  if (isNamed(error, 'NoSuchBucket')) return awsError(error, `download ${what} from ${place.Bucket}`);
  if (awsStatus(error) === 404 || isNamed(error, 'NoSuchKey')) {
    const message = `cannot download ${what}: s3://${place.Bucket}/${place.Key} does not exist`;
    return new TriggerDeployError('ARTIFACT_NOT_FOUND', message, {
      cause: error,
      hint: 'push the version to this environment, or promote it',
    });
  }
  if (awsStatus(error) === 416) {
    const message = `cannot download ${what}: the stored file is shorter than its signed size`;
    return new TriggerDeployError('DOWNLOAD_FAILED', message, { cause: error });
  }
  const { code, message, hint } = awsError(error, `download ${what}`);
  return new TriggerDeployError('DOWNLOAD_FAILED', message, {
    cause: error,
    hint: code === 'AWS_DENIED' && awsStatus(error) === 403 ? DENIED_HINT : hint,
  });
}

/** The desired states of one environment. */
export function createDesiredStore(options: StoreOptions & { env: string }): DesiredStore {
  const { env } = options;
  return {
    read: (service, knownEtag, signal) =>
      readDocument(options, {
        key: keys.desired(env, service),
        doing: `read the desired state of ${service} in ${env}`,
        knownEtag,
        signal,
      }),
  };
}

/** The list of changes of one environment. The last answer is kept: S3 answers `unchanged` until the list changes. */
export function createChangesStore(options: StoreOptions & { env: string }): ChangesStore {
  const request = {
    key: keys.changes(options.env),
    doing: `read the list of changes in ${options.env}`,
    longest: LONGEST_CHANGES,
  };
  let known: { etag: string; changes: Changes | undefined } | undefined;
  return {
    async read(signal) {
      try {
        const answer = await readDocument(options, { ...request, knownEtag: known?.etag, signal });
        if (answer === 'absent') known = undefined;
        else if (answer !== 'unchanged') known = { etag: answer.etag, changes: parseChanges(answer.text) };
      } catch (error) {
        if (!isCode(error, 'AWS_DENIED', 'DOCUMENT_INVALID')) throw error;
        known = undefined;
      }
      return known?.changes;
    },
  };
}

/** The manifests of the environment's bucket, with verified signatures. */
export function createManifestStore(options: StoreOptions & { verifier: Verifier }): ManifestStore {
  return {
    async read(service, version, signal) {
      const answer = await readDocument(options, {
        key: keys.manifest(service, version),
        doing: `read the manifest of ${service} ${version}`,
        knownEtag: undefined,
        signal,
      });
      if (typeof answer === 'string') return undefined;
      const found = await options.verifier.verify('td-manifest+jws', answer.text, manifest);
      return found.service === service && found.version === version ? found : undefined;
    },
  };
}

async function readDocument(
  { aws, bucket, stallMs = STALL_MS, documentMs = DOCUMENT_MS }: StoreOptions,
  request: {
    key: string;
    doing: string;
    /** The longest document that is read, bytes; DOCUMENT_LIMIT when left out. */
    longest?: number;
    knownEtag: string | undefined;
    signal: AbortSignal;
  },
): Promise<{ text: string; etag: string } | 'unchanged' | 'absent'> {
  const { key, doing, knownEtag, longest = DOCUMENT_LIMIT } = request;
  request.signal.throwIfAborted();
  using within = deadline(documentMs, request.signal, doing);
  const { signal } = within;
  const command = new GetObjectCommand({
    Bucket: bucket,
    Key: key,
    ...(knownEtag !== undefined && { IfNoneMatch: knownEtag }),
  });
  try {
    const answer = await aws.s3.send(command, { abortSignal: signal });
    const parts: Uint8Array[] = [];
    let size = 0;
    for await (const part of bodyChunks(answer, { signal, stallMs })) {
      size += part.length;
      if (size > longest) {
        const text = `cannot ${doing}: it is larger than ${longest / 1024} KiB`;
        throw new TriggerDeployError('DOCUMENT_INVALID', text);
      }
      parts.push(part);
    }
    return { text: Buffer.concat(parts).toString('utf8'), etag: answer.ETag ?? '' };
  } catch (error) {
    signal.throwIfAborted();
    if (awsStatus(error) === 304) return 'unchanged';
    if (isNamed(error, 'NoSuchKey')) return 'absent';
    throw awsError(error, doing);
  }
}

/**
 * Whether this instance has the permissions of an agent in the bucket: three requests for keys that never exist. The
 * write has a condition that cannot hold, so S3 checks the permission and writes nothing (S3 User Guide, "Conditional
 * writes").
 */
export async function probeBucket(
  aws: Aws,
  bucket: string,
  env: string,
  signal: AbortSignal,
): Promise<Finding[]> {
  const unused = 'trigger-deploy-check';
  // A name that nobody has, if STS does not answer: then the finding about STS says more than this one.
  const own = await callerUserId(aws, signal).catch(() => unused);
  const read = (Key: string) => () =>
    aws.s3.send(new GetObjectCommand({ Bucket: bucket, Key }), { abortSignal: signal });
  const write = (Key: string) => () =>
    aws.s3.send(new PutObjectCommand({ Bucket: bucket, Key, IfMatch: `"${unused}"`, Body: '-' }), {
      abortSignal: signal,
    });
  const probes: [string, () => Promise<unknown>][] = [
    [`read s3://${bucket}/artifacts/`, read(keys.artifact(unused, '0', '0'.repeat(64), unused))],
    [`read s3://${bucket}/state/${env}/`, read(keys.desired(env, unused))],
    [`write s3://${bucket}/state/${env}/*/instances/`, write(keys.instance(env, unused, own))],
  ];
  const findings: Finding[] = [];
  for (const [doing, ask] of probes) {
    const found = await finding(doing, signal, async () => {
      await ask().catch((error) => {
        // Both answers mean that the request is permitted, but the object does not exist.
        if (!isNamed(error, 'NoSuchKey') && awsStatus(error) !== 412) throw error;
      });
      return `allowed to ${doing}`;
    });
    findings.push(found);
  }
  return findings;
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

async function* explained(chunks: AsyncIterable<Uint8Array>, explain: (error: unknown) => unknown) {
  try {
    yield* chunks;
  } catch (error) {
    throw explain(error);
  }
}
