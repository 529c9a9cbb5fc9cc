import { parseArgs } from 'node:util';
import { type Cloud, type CloudOptions, startCloud } from './cloud.ts';

/** `npm run cloud`: a cloud to try trigger-deploy against by hand. Nothing is kept when it stops. */
const TOPIC = 'trigger-deploy-dev';
const BUCKET = 'acme-deploys-dev';
/** Where tools that emulate AWS are expected. */
const USUAL_PORT = 4566;

const cloud = await start(wantedPort());
const topic = cloud.createTopic(TOPIC);
cloud.createBucket(BUCKET);
console.log(introduction(cloud, topic));

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    cloud.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  });
}

function wantedPort(): number | undefined {
  const { port } = parseArgs({ options: { port: { type: 'string' } } }).values;
  if (port === undefined) return undefined;
  const number = Number(port);
  if (Number.isInteger(number) && number >= 0 && number <= 65_535) return number;
  console.error(`--port ${port}: not a port number`);
  process.exit(2);
}

/** A port that was asked for is taken or refused; the usual one gives way to any other. */
async function start(port: number | undefined): Promise<Cloud> {
  if (port !== undefined) return startOrExit({ port });
  try {
    return await startCloud({ port: USUAL_PORT });
  } catch (error) {
    if (!isPortTaken(error)) throw error;
    return await startCloud();
  }
}

async function startOrExit(options: CloudOptions): Promise<Cloud> {
  try {
    return await startCloud(options);
  } catch (error) {
    if (!isPortTaken(error)) throw error;
    console.error(`port ${options.port} is taken; choose another, or leave --port out for any free one`);
    process.exit(1);
  }
}

function isPortTaken(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
}

function introduction({ endpoint, region, env }: Cloud, topicArn: string): string {
  const exports = Object.entries(env()).map(([name, value]) => `export ${name}=${value}`);
  return `The embedded cloud (SNS, SQS, S3) listens on ${endpoint} until Ctrl-C. Nothing leaves this machine.

1. In the shell that will publish:

${exports.join('\n')}

   An agent is the role session of its instance: in its shell the same lines, but
export AWS_ACCESS_KEY_ID=session-i-0abc

2. trigger-deploy.yaml, for the publisher:

home: dev
environments:
  dev:
    region: ${region}
    topic: ${topicArn}
    bucket: ${BUCKET}
    pathStyle: true
    signingKey: ci.key.json

   In agent.yaml the same four: region, topic, bucket, pathStyle; and instance: i-0abc.
`;
}
