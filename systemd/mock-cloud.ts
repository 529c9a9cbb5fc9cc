import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/**
 * As much of AWS as the runs of compile.ts need, on the loopback interface: a bucket, empty queues, a topic, and the
 * credentials of an instance.
 */

/** How long a queue is polled, ms. */
const POLL_MS = 500;

interface Answer {
  status?: number;
  headers?: Record<string, string>;
  body?: string;
}

export async function openMockCloud(): Promise<{ url: string; close(): void }> {
  const objects = new Map<string, string>();
  const server = createServer(async (request, response) => {
    const body = await text(request);
    const target = request.headers['x-amz-target'];
    if (String(target).endsWith('.ReceiveMessage'))
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    const action = /^Action=(\w+)/.exec(body)?.[1] ?? /&Action=(\w+)/.exec(body)?.[1];
    const metadata = instanceMetadata(request.url ?? '');
    if (metadata !== undefined) {
      response.end(metadata);
      return;
    }
    const answer =
      target !== undefined
        ? queueAnswer()
        : action !== undefined
          ? queryAnswer(action)
          : s3(objects, request, body);
    response.writeHead(answer.status ?? 200, answer.headers).end(answer.body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };

  function queueAnswer(): Answer {
    const Attributes = { QueueArn: 'arn:aws:sqs:eu-west-1:000000000000:compile' };
    return {
      headers: { 'content-type': 'application/x-amz-json-1.0' },
      body: JSON.stringify({ QueueUrl: `${url}/000000000000/compile`, Attributes }),
    };
  }
}

/** The instance metadata service: only its credentials. */
function instanceMetadata(url: string): string | undefined {
  if (!url.startsWith('/latest/')) return undefined;
  if (!url.startsWith('/latest/meta-data/iam/security-credentials/')) return 'compile';
  if (url.endsWith('/')) return 'compile';
  return JSON.stringify({
    ...{ Code: 'Success', AccessKeyId: 'compile', SecretAccessKey: 'compile', Token: 'compile' },
    Expiration: new Date(Date.now() + 3_600_000).toISOString(),
  });
}

/** SNS and STS. */
function queryAnswer(action: string): Answer {
  const result = [
    '<SubscriptionArn>arn:aws:sns:eu-west-1:000000000000:compile:1</SubscriptionArn><MessageId>1</MessageId>',
    '<UserId>AROA:compile</UserId><Account>000000000000</Account>',
    '<Arn>arn:aws:sts::000000000000:assumed-role/compile/compile</Arn>',
  ].join('');
  return {
    headers: { 'content-type': 'text/xml' },
    body: `<${action}Response><${action}Result>${result}</${action}Result></${action}Response>`,
  };
}

function s3(objects: Map<string, string>, { method, url = '/' }: IncomingMessage, body: string): Answer {
  const { pathname, searchParams } = new URL(url, 'http://localhost');
  const key = decodeURIComponent(pathname).split('/').slice(2).join('/');
  if (method === 'PUT') {
    objects.set(key, body);
    return { headers: { etag: '"1"' } };
  }
  if (method === 'DELETE') {
    objects.delete(key);
    return { status: 204 };
  }
  if (key === '') {
    const prefix = searchParams.get('prefix') ?? '';
    const found = [...objects.keys()].filter((one) => one.startsWith(prefix));
    const contents = found.map(
      (one) => `<Contents><Key>${one}</Key><ETag>"1"</ETag><Size>1</Size></Contents>`,
    );
    return {
      body: `<ListBucketResult><IsTruncated>false</IsTruncated>${contents.join('')}</ListBucketResult>`,
    };
  }
  const stored = objects.get(key);
  if (stored === undefined) return { status: 404, body: '<Error><Code>NoSuchKey</Code></Error>' };
  return {
    headers: { etag: '"1"', 'content-length': String(Buffer.byteLength(stored)) },
    body: method === 'HEAD' ? '' : stored,
  };
}
