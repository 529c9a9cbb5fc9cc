import { EVERYTHING } from '../iam/places.ts';
import { standInRefusal } from '../iam/stand-in.ts';
import { accessKeyOf, startStandIn } from './stand-in-server.ts';

/**
 * EC2 as far as a publisher speaks to it: DescribeInstances of the Query protocol. It replaces EC2, which tests cannot have.
 * What it does follows the API Reference, "DescribeInstances": filters take 200 values at most, an instance that a
 * filter names and EC2 does not know is left out, while one that is named by its id fails the call; pages.
 */
export interface FakeEc2 {
  /** What makes a publisher ask here. */
  readonly env: Record<string, string>;
  /** Every call so far: the operation, the access key of the caller, and how many instances it named. */
  readonly calls: { operation: string; accessKeyId: string; named: number }[];
  /** The states by instance; an instance that is not here is unknown to EC2. */
  readonly states: Map<string, string>;
  /** How many instances an answer has at most. */
  pageSize: number;
  /** Answers the next calls with an error, `times` times. */
  fail(error: { status: number; code: string }, times?: number): void;
  stop(): Promise<void>;
}

const MOST_VALUES = 200;
/** Amazon EC2 Developer Guide, "Error codes for the Amazon EC2 API". */
const errorAnswer = (code: string, message: string) =>
  `<?xml version="1.0" encoding="UTF-8"?><Response><Errors><Error><Code>${code}</Code><Message>${message}</Message></Error></Errors><RequestID>0</RequestID></Response>`;

export async function startFakeEc2(): Promise<FakeEc2> {
  let failure = { status: 0, code: '', times: 0 };

  function valuesOf(form: URLSearchParams, name: string): string[] {
    for (let n = 1; form.has(`Filter.${n}.Name`); n += 1) {
      if (form.get(`Filter.${n}.Name`) !== name) continue;
      return [...form].filter(([key]) => key.startsWith(`Filter.${n}.Value.`)).map(([, value]) => value);
    }
    return [];
  }

  function describe(form: URLSearchParams): { status: number; body: string } {
    const byId = [...form].filter(([key]) => key.startsWith('InstanceId.')).map(([, id]) => id);
    const missing = byId.find((id) => !ec2.states.has(id));
    if (missing !== undefined) {
      const message = `The instance ID '${missing}' does not exist`;
      return { status: 400, body: errorAnswer('InvalidInstanceID.NotFound', message) };
    }
    const values = valuesOf(form, 'instance-id');
    if (values.length > MOST_VALUES) {
      return { status: 400, body: errorAnswer('FilterLimitExceeded', 'too many values of a filter') };
    }
    const wanted = byId.length > 0 ? byId : values;
    const found = wanted.filter((id) => ec2.states.has(id)).sort();
    const from = Number(form.get('NextToken') ?? 0);
    const page = found.slice(from, from + ec2.pageSize);
    const items = page.map(
      (id) =>
        `<item><instancesSet><item><instanceId>${id}</instanceId><instanceState><code>0</code><name>${ec2.states.get(id)}</name></instanceState></item></instancesSet></item>`,
    );
    const more = from + ec2.pageSize < found.length;
    const token = more ? `<nextToken>${from + ec2.pageSize}</nextToken>` : '';
    return {
      status: 200,
      body: `<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>0</requestId><reservationSet>${items.join('')}</reservationSet>${token}</DescribeInstancesResponse>`,
    };
  }

  const server = await startStandIn((request, text, response) => {
    const form = new URLSearchParams(text);
    const operation = form.get('Action') ?? '';
    const accessKeyId = accessKeyOf(request);
    ec2.calls.push({ operation, accessKeyId, named: valuesOf(form, 'instance-id').length });
    response.setHeader('content-type', 'text/xml');
    const refusal = standInRefusal(request, `ec2:${operation}`, {
      features: { ec2: true },
      context: { 'ec2:Region': EVERYTHING.region },
    });
    if (refusal !== undefined) {
      response.writeHead(403).end(errorAnswer('UnauthorizedOperation', refusal));
      return;
    }
    if (failure.times > 0) {
      failure.times -= 1;
      response.writeHead(failure.status).end(errorAnswer(failure.code, 'as the test wants it'));
      return;
    }
    const { status, body } =
      operation === 'DescribeInstances'
        ? describe(form)
        : { status: 400, body: errorAnswer('InvalidAction', `the fake knows no ${operation}`) };
    response.writeHead(status).end(body);
  });

  const ec2: FakeEc2 = {
    env: { AWS_ENDPOINT_URL_EC2: server.endpoint },
    calls: [],
    states: new Map(),
    pageSize: 1000,
    fail(error, times = Number.POSITIVE_INFINITY) {
      failure = { ...error, times };
    },
    stop: server.stop,
  };
  return ec2;
}
