import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** The part of EC2's instance metadata that credentials come from, as IMDSv2 answers. */
export interface InstanceMetadata {
  /** What an agent needs to ask here, and nowhere else. */
  readonly env: Record<string, string>;
  /** From now on the role's session has this access key. */
  rotate(accessKeyId: string): void;
  /** How often the credentials were asked for. */
  asked(): number;
  /** Requests get no answer any more. */
  stop(): Promise<void>;
  /** Answers again, on the same port. */
  start(): Promise<void>;
}

/** The SDK asks again once credentials have less than five minutes to live: it asks for these each time. */
const LIFE_MS = 4 * 60_000;

export async function startInstanceMetadata(first: string): Promise<InstanceMetadata> {
  let accessKeyId = first;
  let asked = 0;
  const credentials = () => ({
    Code: 'Success',
    Type: 'AWS-HMAC',
    AccessKeyId: accessKeyId,
    SecretAccessKey: 'embedded-cloud',
    Token: 'a token',
    Expiration: new Date(Date.now() + LIFE_MS).toISOString(),
  });
  const server = createServer(({ method, url = '' }, response) => {
    if (method === 'PUT') response.end('an IMDSv2 token');
    else if (url.endsWith('/security-credentials/')) response.end('trigger-deploy-agent');
    else if (url.includes('/security-credentials/')) {
      asked += 1;
      response.end(JSON.stringify(credentials()));
    } else response.writeHead(404).end();
  });
  const listen = async (port: number) => {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  };
  await listen(0);
  const { port } = server.address() as AddressInfo;
  return {
    env: {
      AWS_EC2_METADATA_SERVICE_ENDPOINT: `http://127.0.0.1:${port}`,
      AWS_EC2_METADATA_DISABLED: 'false',
      AWS_ACCESS_KEY_ID: '',
      AWS_SECRET_ACCESS_KEY: '',
    },
    rotate(next) {
      accessKeyId = next;
    },
    asked: () => asked,
    async stop() {
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
    start: () => listen(port),
  };
}
