import {
  CloudWatchClient,
  DescribeAlarmsCommand,
  type DescribeAlarmsCommandOutput,
} from '@aws-sdk/client-cloudwatch';
import type { Aws } from '../../shared/aws.ts';
import { awsError } from '../../shared/aws-errors.ts';
import { cleanLine } from '../../shared/clean-text.ts';
import type { AlarmState } from '../record/check-schema.ts';

/** Reads CloudWatch alarms. This file is loaded only where alarms are configured. */

export interface Alarms {
  /** The state of each alarm that exists; one that does not exist is left out. @throws AWS_*. */
  read(signal: AbortSignal): Promise<AlarmState[]>;
  close(): void;
}

/** One call has at most 100 names, and an answer at most 100 alarms. */
const MOST = 100;
/** A bound on the pages of one answer: more would be an error of AWS. */
const PAGES = 20;
/** How much of an alarm's reason is kept, characters. CloudWatch allows 1,023. */
const REASON = 300;

/**
 * The alarms `names`. Composite alarms are returned only when they are asked for, and only to a caller whose
 * `cloudwatch:DescribeAlarms` is for all resources. API Reference of CloudWatch, "DescribeAlarms".
 */
export function openAlarms(aws: Aws, names: readonly string[]): Alarms {
  const client = aws.limited(new CloudWatchClient(aws.settings), 'CloudWatch');

  async function page(
    NextToken: string | undefined,
    signal: AbortSignal,
  ): Promise<DescribeAlarmsCommandOutput> {
    const input = {
      AlarmNames: [...names],
      AlarmTypes: ['MetricAlarm' as const, 'CompositeAlarm' as const],
      MaxRecords: MOST,
      ...(NextToken !== undefined && { NextToken }),
    };
    try {
      return await client.send(new DescribeAlarmsCommand(input), { abortSignal: signal });
    } catch (error) {
      signal.throwIfAborted();
      throw awsError(error, 'read the CloudWatch alarms');
    }
  }

  return {
    async read(signal) {
      const found: AlarmState[] = [];
      let token: string | undefined;
      for (let pages = 0; pages < PAGES; pages += 1) {
        const { MetricAlarms = [], CompositeAlarms = [], NextToken } = await page(token, signal);
        found.push(...[...MetricAlarms, ...CompositeAlarms].map(stateOf));
        if (NextToken === undefined || NextToken === '') break;
        token = NextToken;
      }
      return found.filter(({ name }) => names.includes(name));
    },
    close: () => client.destroy(),
  };
}

interface Described {
  AlarmName?: string | undefined;
  StateValue?: string | undefined;
  StateReason?: string | undefined;
}

function stateOf({ AlarmName = '', StateValue = 'unknown', StateReason }: Described): AlarmState {
  const reason = cleanLine(StateReason ?? '').slice(0, REASON);
  return { name: AlarmName, state: cleanLine(StateValue), ...(reason !== '' && { reason }) };
}
