import {
  AutoScalingClient,
  CompleteLifecycleActionCommand,
  DescribeAutoScalingInstancesCommand,
  RecordLifecycleActionHeartbeatCommand,
} from '@aws-sdk/client-auto-scaling';
import type { Aws } from '../../shared/aws.ts';
import { messageOf } from '../../shared/errors.ts';
import { awsCall, isNamed } from './aws-call.ts';

/**
 * The lifecycle actions of this instance in its EC2 Auto Scaling group. They are named by the instance id: the token of a
 * notification is not needed (Auto Scaling API Reference, CompleteLifecycleAction). Both methods answer `over` if no such
 * action waits: it was completed, it has timed out, or the instance is in no group. @throws AWS_*.
 */
export interface LifecycleActions {
  complete(hook: string, result: 'CONTINUE' | 'ABANDON', signal: AbortSignal): Promise<'done' | 'over'>;
  /** Starts the timeout of the hook again. */
  heartbeat(hook: string, signal: AbortSignal): Promise<'done' | 'over'>;
}

/** How Auto Scaling says that no action waits. The same code has errors of the request, which are none of the kind. */
const NO_ACTION = /No active Lifecycle Action found/i;

/** `group` is the name of the group; if it is undefined, it is asked for once. */
export function createLifecycleActions({
  aws,
  instance,
  group,
}: {
  aws: Aws;
  instance: string;
  group?: string | undefined;
}): LifecycleActions {
  let made: AutoScalingClient | undefined;
  let known = group;
  const client = () => {
    made ??= aws.limited(new AutoScalingClient(aws.settings), 'Auto Scaling');
    return made;
  };

  async function groupName(signal: AbortSignal): Promise<string | undefined> {
    if (known !== undefined) return known;
    const command = new DescribeAutoScalingInstancesCommand({ InstanceIds: [instance] });
    const { AutoScalingInstances = [] } = await client().send(command, { abortSignal: signal });
    known = AutoScalingInstances.find(({ InstanceId }) => InstanceId === instance)?.AutoScalingGroupName;
    return known;
  }

  async function act(
    doing: string,
    signal: AbortSignal,
    send: (group: string) => Promise<unknown>,
  ): Promise<'done' | 'over'> {
    return await awsCall(doing, signal, async () => {
      const name = await groupName(signal);
      if (name === undefined) return 'over';
      try {
        await send(name);
        return 'done';
      } catch (error) {
        if (isNamed(error, 'ValidationError') && NO_ACTION.test(messageOf(error))) return 'over';
        throw error;
      }
    });
  }

  const names = (group: string, hook: string) => ({
    AutoScalingGroupName: group,
    LifecycleHookName: hook,
    InstanceId: instance,
  });
  return {
    complete: (hook, result, signal) =>
      act(`complete the lifecycle action of ${hook}`, signal, (group) =>
        client().send(
          new CompleteLifecycleActionCommand({ ...names(group, hook), LifecycleActionResult: result }),
          { abortSignal: signal },
        ),
      ),
    heartbeat: (hook, signal) =>
      act(`record a heartbeat of the lifecycle action of ${hook}`, signal, (group) =>
        client().send(new RecordLifecycleActionHeartbeatCommand(names(group, hook)), { abortSignal: signal }),
      ),
  };
}
