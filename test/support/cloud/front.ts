import type { AsyncLocalStorage } from 'node:async_hooks';
import type { IncomingMessage } from 'node:http';
import { buildApp } from 'fauxqs';
import type { SnsStore } from '../../../node_modules/fauxqs/dist/sns/snsStore.js';
import { ACCOUNT, type BucketConfigs, type ConfigAnswer } from './bucket-config.ts';
import { checkChecksum } from './checksums.ts';
import type { Credentials } from './credentials.ts';
import { CloudError, errorAnswer, sqsQueryCode } from './errors.ts';
import type { Faults } from './faults.ts';
import { createIam } from './iam.ts';
import { type Call, CLIENT_GONE, type RequestLog, readBody, readHead } from './requests.ts';
import type { StrictS3Store } from './s3.ts';
import { type ReceivedMessage, type StrictSqsStore, senderId } from './sqs.ts';

/** One PUT of an object or a part. S3 takes 5 GiB; this process would have to hold them. */
const BODY_LIMIT = 512 * 1024 * 1024;

export interface Parts {
  readonly region: string;
  readonly sqs: StrictSqsStore;
  readonly sns: SnsStore;
  readonly s3: StrictS3Store;
  readonly buckets: BucketConfigs;
  readonly calls: AsyncLocalStorage<Call>;
  readonly log: RequestLog;
  readonly faults: Faults;
  readonly credentials: Credentials;
  readonly now: () => number;
}

/** What is known of a request between its hooks, beyond the call itself. */
interface Exchange {
  readonly call: Call;
  logged: boolean;
  loseAnswer: boolean;
  received: readonly ReceivedMessage[];
}

/**
 * fauxqs' HTTP application with AWS's strictness around it. A request passes: who asks (headers), what is asked
 * (body), the faults waiting for it, then fauxqs' own action inside the call's context; its answer is corrected
 * and its record closed.
 */
export function buildFront(parts: Parts): ReturnType<typeof buildApp> {
  const { sqs, sns, s3, buckets, calls, log, faults, credentials } = parts;
  const app = buildApp({
    logger: false,
    defaultRegion: parts.region,
    // The package exports its application but not these classes; they are imported by file from the pinned version.
    stores: { sqsStore: sqs, snsStore: sns, s3Store: s3 },
  });
  const authorize = createIam(parts);
  const exchanges = new WeakMap<IncomingMessage, Exchange>();

  // fauxqs stops at 11 MiB and then answers in a shape that no S3 client reads.
  app.removeContentTypeParser('*');
  app.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: BODY_LIMIT }, (_request, body, done) =>
    done(null, body),
  );

  /** Undefined where fauxqs answers. */
  function bucketAnswer(call: Call, body: string): ConfigAnswer | undefined {
    const { bucket = '', operation } = call.record;
    if (operation === 'CreateBucket') buckets.checkCreation(bucket, body, s3.has(bucket));
    return buckets.answer(call, body, s3.has(bucket));
  }

  const note = (exchange: Exchange): void => {
    if (exchange.logged) return;
    exchange.logged = true;
    log.add(exchange.call.record);
  };

  app.addHook('onRequest', (request, reply, done) => {
    const gone = new AbortController();
    const record = { at: Date.now(), ...readHead(request.method, request.raw.url ?? '/', request.headers) };
    const call: Call = { record, headers: request.headers, gone: gone.signal };
    const exchange: Exchange = { call, logged: false, loseAnswer: false, received: [] };
    exchanges.set(request.raw, exchange);
    reply.raw.once('close', () => {
      if (reply.raw.writableFinished) return;
      call.record.status = CLIENT_GONE;
      gone.abort();
      if (call.record.queue && !exchange.loseAnswer) sqs.giveBack(call.record.queue, exchange.received);
      log.changed();
    });
    done(refusalOf(() => credentials.check(call)));
  });

  app.addHook('preHandler', (request, reply, done) => {
    const exchange = exchanges.get(request.raw);
    if (exchange === undefined) return done();
    const { call } = exchange;
    readBody(call.record, request.body);
    const refusal = refusalOf(() => {
      authorize(call, request.body);
      exchange.loseAnswer = faults.meet(call);
      buckets.check(call);
      if (call.record.service === 'sqs') sqs.check(call.record.operation, request.body);
      else checkChecksum(call, request.body);
    });
    if (refusal) return done(refusal);
    if (call.record.service === 'sts') {
      note(exchange);
      void reply.type('text/xml').send(callerIdentity(call.record.accessKeyId ?? ''));
      return;
    }
    if (call.record.service === 's3' && call.record.key === undefined) {
      const answered = attempt(() => bucketAnswer(call, textOf(request.body)));
      if (answered instanceof CloudError) return done(answered);
      if (answered !== undefined) {
        note(exchange);
        void reply.status(answered.status).type('application/xml').send(answered.body);
        return;
      }
    }
    if (call.record.operation === 'ListMultipartUploads') {
      note(exchange);
      void reply.type('application/xml').send(s3.uploadsAnswer(call.record.bucket ?? ''));
      return;
    }
    // The rest runs inside the call, synchronously up to fauxqs' first await: a poll seen here is really open.
    calls.run(call, done);
    note(exchange);
  });

  app.addHook('preSerialization', (request, _reply, payload, done) => {
    const exchange = exchanges.get(request.raw);
    const { operation, queue } = exchange?.call.record ?? {};
    if (exchange && operation === 'ReceiveMessage' && queue) {
      exchange.received = (payload as { Messages?: ReceivedMessage[] }).Messages ?? [];
      sqs.nameSenders(queue, exchange.received);
    }
    done(null, payload);
  });

  app.addHook('onSend', (request, reply, payload, done) => {
    const exchange = exchanges.get(request.raw);
    reply.header('date', new Date(parts.now()).toUTCString());
    const queryError = reply.getHeader('x-amzn-query-error');
    if (queryError !== undefined) {
      const [code = '', fault] = String(queryError).split(';');
      reply.header('x-amzn-query-error', `${sqsQueryCode(code)};${fault}`);
    }
    if (exchange) {
      note(exchange);
      if (exchange.loseAnswer) reply.raw.destroy();
      else if (!exchange.call.gone.aborted) exchange.call.record.status = reply.statusCode;
      log.changed();
    }
    done(null, payload);
  });

  app.setErrorHandler((error, request, reply) => {
    const service = exchanges.get(request.raw)?.call.record.service ?? 's3';
    const refusal = asCloudError(error);
    const { headers, body } = errorAnswer(service, refusal);
    reply.status(refusal.status);
    if (request.method === 'HEAD') return reply.send();
    return reply.headers(headers).send(body);
  });

  return app;
}

/** https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html */
const callerIdentity = (accessKeyId: string) =>
  `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>arn:aws:sts::${ACCOUNT}:assumed-role/embedded/${accessKeyId}</Arn><UserId>${senderId(accessKeyId)}</UserId><Account>${ACCOUNT}</Account></GetCallerIdentityResult><ResponseMetadata><RequestId>00000000-0000-0000-0000-000000000000</RequestId></ResponseMetadata></GetCallerIdentityResponse>`;

const textOf = (body: unknown) => (Buffer.isBuffer(body) ? body.toString('utf8') : String(body ?? ''));

function refusalOf(check: () => void): CloudError | undefined {
  const refused = attempt(check);
  return refused instanceof CloudError ? refused : undefined;
}

function attempt<T>(work: () => T): T | CloudError {
  try {
    return work();
  } catch (error) {
    return asCloudError(error);
  }
}

function asCloudError(error: unknown): CloudError {
  if (error instanceof CloudError) return error;
  if (error instanceof Error && 'statusCode' in error && error.statusCode === 413) return tooLarge();
  return new CloudError(500, 'InternalError', error instanceof Error ? String(error.stack) : String(error));
}

function tooLarge(): CloudError {
  return new CloudError(
    400,
    'EntityTooLarge',
    `Your proposed upload exceeds the maximum allowed size (of the embedded cloud, ${BODY_LIMIT} bytes; AWS takes 5 GiB)`,
  );
}
