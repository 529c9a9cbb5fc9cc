import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, test, vi } from 'vitest';
import { readInstanceMetadata } from '../../../../agent/aws/instance-metadata.ts';
import { NEVER } from '../../../../shared/abort.ts';
import { rejection, serve } from '../../../support/aws/fixture.ts';

const FACTS: Record<string, string> = {
  '/latest/meta-data/instance-id': 'i-0abc1234567890def',
  '/latest/meta-data/placement/availability-zone': 'eu-west-1b',
  '/latest/meta-data/placement/region': 'eu-west-1',
};

/** IMDSv2 as EC2 answers it: a token by PUT with a TTL, and no answer without the token. */
function imds(facts: Record<string, string>) {
  return (request: IncomingMessage, response: ServerResponse): void => {
    const { method, url = '', headers } = request;
    if (url === '/latest/api/token') {
      const ttl = Number(headers['x-aws-ec2-metadata-token-ttl-seconds']);
      response.statusCode = method === 'PUT' && ttl >= 1 && ttl <= 21_600 ? 200 : 400;
      response.end(response.statusCode === 200 ? 'the token' : '');
    } else if (headers['x-aws-ec2-metadata-token'] !== 'the token') {
      response.writeHead(401).end();
    } else if (facts[url] === undefined) {
      response.writeHead(404).end('<?xml version="1.0"?><html>not found</html>');
    } else {
      response.end(facts[url]);
    }
  };
}

describe('readInstanceMetadata', () => {
  test('the instance, its zone and its region are read with a token', async () => {
    const endpoint = await serve(imds(FACTS));
    expect(await readInstanceMetadata(NEVER, { endpoint })).toEqual({
      instance: 'i-0abc1234567890def',
      zone: 'eu-west-1b',
      region: 'eu-west-1',
      tags: {},
    });
  });

  test('the tags are read where the instance metadata has them', async () => {
    const tags = {
      '/latest/meta-data/tags/instance': 'stack\nName\nteam:cost-center',
      '/latest/meta-data/tags/instance/stack': 'pr-1234',
      '/latest/meta-data/tags/instance/Name': 'payments \u001b[31mone\u001b[0m',
      '/latest/meta-data/tags/instance/team:cost-center': '',
    };
    const endpoint = await serve(imds({ ...FACTS, ...tags }));
    expect(await readInstanceMetadata(NEVER, { endpoint })).toMatchObject({
      tags: { stack: 'pr-1234', Name: 'payments one', 'team:cost-center': '' },
    });
  });

  test('tags beyond the number, length and characters that EC2 allows are dropped', async () => {
    const keys = [
      '../instance-id',
      'a b',
      'x'.repeat(129),
      ...Array.from({ length: 60 }, (_, i) => `key-${i}`),
    ];
    const values = keys.map((key) => [`/latest/meta-data/tags/instance/${key}`, 'v'.repeat(300)]);
    const facts = { ...FACTS, '/latest/meta-data/tags/instance': keys.join('\n') };
    const endpoint = await serve(imds({ ...facts, ...Object.fromEntries(values) }));
    const { tags } = await readInstanceMetadata(NEVER, { endpoint });
    expect(Object.keys(tags)).toHaveLength(50);
    expect(Object.keys(tags).every((key) => key.startsWith('key-'))).toBe(true);
    expect(tags['key-0']).toHaveLength(256);
  });

  test('an instance whose tags are refused is still identified', async () => {
    const endpoint = await serve((request, response) => {
      if (request.url?.includes('/tags/')) response.writeHead(403).end();
      else imds(FACTS)(request, response);
    });
    expect(await readInstanceMetadata(NEVER, { endpoint })).toMatchObject({
      instance: 'i-0abc1234567890def',
      tags: {},
    });
  });

  test('an emulator without zone and region is enough', async () => {
    const endpoint = await serve(imds({ '/latest/meta-data/instance-id': 'i-0a' }));
    expect(await readInstanceMetadata(NEVER, { endpoint })).toEqual({
      instance: 'i-0a',
      zone: undefined,
      region: undefined,
      tags: {},
    });
  });

  test('a service that is busy at first is retried', async () => {
    let busy = 2;
    const endpoint = await serve((request, response) => {
      if (busy-- > 0) response.writeHead(503).end();
      else imds(FACTS)(request, response);
    });
    expect(await readInstanceMetadata(NEVER, { endpoint })).toMatchObject({
      instance: 'i-0abc1234567890def',
    });
  });

  test('without an answer, the error names the setting that replaces the metadata', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.close();
    expect(await rejection(readInstanceMetadata(NEVER, { endpoint }))).toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(/cannot read the instance metadata from http:.* \(.*ECONNREFUSED/),
      hint: expect.stringContaining('`instance:` in agent.yaml'),
    });
  });

  test('metadata that is turned off is not retried', async () => {
    const asked = vi.fn();
    const endpoint = await serve((request, response) => {
      asked(request.url);
      response.writeHead(403).end();
    });
    expect(await rejection(readInstanceMetadata(NEVER, { endpoint }))).toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('answered 403'),
    });
    expect(asked).toHaveBeenCalledTimes(1);
  });

  test('the page of a proxy is not taken for an instance id', async () => {
    const endpoint = await serve((_request, response) => response.end('<html>Please log in</html>'));
    expect(await rejection(readInstanceMetadata(NEVER, { endpoint }))).toMatchObject({
      code: 'CONFIG_INVALID',
    });
  });

  test('a redirect is not followed', async () => {
    const elsewhere = await serve(imds(FACTS));
    const endpoint = await serve((request, response) =>
      response.writeHead(307, { location: `${elsewhere}${request.url}` }).end(),
    );
    expect(await rejection(readInstanceMetadata(NEVER, { endpoint }))).toMatchObject({
      code: 'CONFIG_INVALID',
    });
  });

  test('an abort ends the read at once, with its reason', async () => {
    const stop = new AbortController();
    const endpoint = await serve(() => stop.abort('stopping'));
    expect(await rejection(readInstanceMetadata(stop.signal, { endpoint }))).toBe('stopping');
  });

  test('a service that accepts the connection and never answers times out within seconds', async () => {
    const asked = vi.fn();
    const endpoint = await serve(asked);
    expect(await rejection(readInstanceMetadata(NEVER, { endpoint }))).toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('took longer than 1.0 s'),
    });
    expect(asked).toHaveBeenCalledTimes(4);
  });
});
