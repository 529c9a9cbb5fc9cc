import { DescribeInstancesCommand, EC2Client } from '@aws-sdk/client-ec2';
import { awsError } from '../../shared/aws-errors.ts';
import type { Session } from '../session.ts';

/** What EC2 says about instances. Loaded only where the config allows it: the client of EC2 is large. */

/** Amazon EC2 Developer Guide, "List and filter using the API": at most 200 values of a filter in a request. */
const MOST_IDS = 200;

/** The ids that EC2 gives: 8 hex digits, or 17 since 2016. */
const EC2_ID = /^i-([0-9a-f]{8}|[0-9a-f]{17})$/;
export const isEc2Id = (instance: string): boolean => EC2_ID.test(instance);

/**
 * The state of each of these instances that EC2 knows, by its own words: `running`, `terminated` and the rest. Instances
 * are named by a filter: a call that named an unknown one by its id would fail as a whole. A terminated instance stays
 * known for about an hour (API Reference, "TerminateInstances").
 * @throws AWS_*.
 */
export async function ec2States(
  { aws, signal }: Pick<Session, 'aws' | 'signal'>,
  instances: readonly string[],
): Promise<Map<string, string>> {
  const ids = instances.filter(isEc2Id);
  const found = new Map<string, string>();
  if (ids.length === 0) return found;
  const client = aws.limited(new EC2Client(aws.settings), 'EC2');
  try {
    for (let at = 0; at < ids.length; at += MOST_IDS) {
      const Filters = [{ Name: 'instance-id', Values: ids.slice(at, at + MOST_IDS) }];
      let NextToken: string | undefined;
      do {
        const command = new DescribeInstancesCommand({ Filters, MaxResults: 1000, NextToken });
        const answer = await client.send(command, { abortSignal: signal });
        for (const { InstanceId, State } of (answer.Reservations ?? []).flatMap((one) => one.Instances ?? []))
          if (InstanceId !== undefined && State?.Name !== undefined) found.set(InstanceId, State.Name);
        NextToken = answer.NextToken || undefined;
      } while (NextToken !== undefined);
    }
    return found;
  } catch (error) {
    signal.throwIfAborted();
    throw awsError(error, 'ask EC2 for the state of instances');
  } finally {
    client.destroy();
  }
}
