import { EVERYTHING } from '../iam/places.ts';
import { standInRefusal } from '../iam/stand-in.ts';
import { accessKeyOf, startStandIn } from './stand-in-server.ts';

/**
 * EC2 Auto Scaling as far as an agent speaks to it: the Query protocol and the lifecycle actions of instances. It
 * replaces a group of AWS, which tests cannot have; it launches nothing. It follows the API Reference
 * (CompleteLifecycleAction, RecordLifecycleActionHeartbeat, DescribeAutoScalingInstances) and the User Guide, "Complete
 * a lifecycle action": an action that was completed, or whose timeout is over, is no longer active (ValidationError).
 */
export interface FakeAutoScaling {
  /** What makes an agent ask here. */
  readonly env: Record<string, string>;
  /** Every call so far, with the access key of its caller. */
  readonly calls: { action: string; instance: string; hook: string; result: string; accessKey: string }[];
  /** Puts the instance into `group`. */
  join(instance: string, group: string): void;
  /** A lifecycle action of the instance waits from now on. `timeoutMs` starts again with each heartbeat. */
  wait(instance: string, hook: string, timeoutMs?: number): void;
  /** How the last action of the instance and the hook ended; undefined while it waits. */
  resultOf(instance: string, hook: string): 'CONTINUE' | 'ABANDON' | 'timed out' | undefined;
  /** Answers the next calls of this action with an error, `times` times. */
  fail(action: string, error: { status: number; code: string }, times?: number): void;
  stop(): Promise<void>;
}

interface Action {
  until: number;
  timeoutMs: number;
  result?: 'CONTINUE' | 'ABANDON';
}

class Refusal extends Error {}

const HOUR = 3_600_000;

export async function startFakeAutoScaling(): Promise<FakeAutoScaling> {
  const groups = new Map<string, string>();
  const actions = new Map<string, Action>();
  const failures = new Map<string, { status: number; code: string; times: number }>();
  const keyOf = (instance: string, hook: string) => `${instance} ${hook}`;

  function activeOf(form: URLSearchParams): Action {
    const instance = form.get('InstanceId') ?? '';
    const group = form.get('AutoScalingGroupName') ?? '';
    if (groups.get(instance) !== group)
      throw new Refusal(`Group ${group} not found or ${instance} is not in it`);
    const action = actions.get(keyOf(instance, form.get('LifecycleHookName') ?? ''));
    if (!action || action.result !== undefined || action.until <= performance.now())
      throw new Refusal(`No active Lifecycle Action found with instance ID ${instance}`);
    return action;
  }

  function answer(form: URLSearchParams): string {
    switch (form.get('Action')) {
      case 'CompleteLifecycleAction': {
        const result = form.get('LifecycleActionResult');
        if (result !== 'CONTINUE' && result !== 'ABANDON') throw new Refusal('the result is none');
        activeOf(form).result = result;
        return '';
      }
      case 'RecordLifecycleActionHeartbeat': {
        const action = activeOf(form);
        action.until = performance.now() + action.timeoutMs;
        return '';
      }
      case 'DescribeAutoScalingInstances': {
        const instance = form.get('InstanceIds.member.1') ?? '';
        const group = groups.get(instance);
        const names = `<InstanceId>${instance}</InstanceId><AutoScalingGroupName>${group}</AutoScalingGroupName>`;
        const member = group === undefined ? '' : `<member>${names}</member>`;
        return `<AutoScalingInstances>${member}</AutoScalingInstances>`;
      }
      default:
        throw new Error(`the fake knows no ${form.get('Action')}`);
    }
  }

  const server = await startStandIn((request, body, response) => {
    const form = new URLSearchParams(body);
    const action = form.get('Action') ?? '';
    asg.calls.push({
      action,
      instance: form.get('InstanceId') ?? form.get('InstanceIds.member.1') ?? '',
      hook: form.get('LifecycleHookName') ?? '',
      result: form.get('LifecycleActionResult') ?? '',
      accessKey: accessKeyOf(request),
    });
    response.setHeader('content-type', 'text/xml');
    const refuse = (status: number, code: string, message: string) => {
      const error = `<Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error>`;
      response.writeHead(status).end(`<ErrorResponse>${error}</ErrorResponse>`);
    };
    const group = form.get('AutoScalingGroupName') ?? '';
    const { region, account } = EVERYTHING;
    const refusal = standInRefusal(request, `autoscaling:${action}`, {
      resource: action.startsWith('Describe')
        ? '*'
        : `arn:aws:autoscaling:${region}:${account}:autoScalingGroup:0:autoScalingGroupName/${group}`,
      features: { autoScalingGroups: ['*'] },
    });
    if (refusal !== undefined) return refuse(403, 'AccessDenied', refusal);
    const failure = failures.get(action);
    if (failure && failure.times > 0) {
      failure.times -= 1;
      return refuse(failure.status, failure.code, 'as the test wants it');
    }
    try {
      response.end(
        `<${action}Response><${action}Result>${answer(form)}</${action}Result></${action}Response>`,
      );
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      refuse(400, 'ValidationError', error.message);
    }
  });

  const asg: FakeAutoScaling = {
    env: { AWS_ENDPOINT_URL_AUTO_SCALING: server.endpoint },
    calls: [],
    join: (instance, group) => void groups.set(instance, group),
    wait: (instance, hook, timeoutMs = HOUR) =>
      void actions.set(keyOf(instance, hook), { until: performance.now() + timeoutMs, timeoutMs }),
    resultOf(instance, hook) {
      const action = actions.get(keyOf(instance, hook));
      return action?.result ?? (action && action.until <= performance.now() ? 'timed out' : undefined);
    },
    fail: (action, error, times = Number.POSITIVE_INFINITY) => void failures.set(action, { ...error, times }),
    stop: server.stop,
  };
  return asg;
}
