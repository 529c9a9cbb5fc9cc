import { standInRefusal } from '../iam/stand-in.ts';
import { startStandIn } from './stand-in-server.ts';

/**
 * Elastic Load Balancing v2 as far as an agent speaks to it: the Query protocol and the states of a target. It
 * replaces a load balancer of AWS, which tests cannot have; it balances nothing. What it does follows the API
 * Reference and the User Guide, "Target groups": `draining` until the deregistration delay is over, then `unused`;
 * `initial`, then what the health check says.
 */
export interface FakeElb {
  /** What makes an agent ask here. */
  readonly env: Record<string, string>;
  /** Every call so far, as `DeregisterTargets web i-0a1`. */
  readonly calls: string[];
  /** Registers a target, healthy at once. */
  register(arn: string, instance: string, port?: number): void;
  /** As DescribeTargetHealth has it now. */
  stateOf(arn: string, instance: string, port?: number): string;
  /** What the health check says of a target; healthy unless set. */
  isHealthy: (instance: string) => boolean;
  /** Until a deregistered target is unused, ms; what the attributes say is that in seconds, rounded up. */
  delayMs: number;
  /** Until a registered target is checked, ms. */
  checkMs: number;
  /** Answers the next calls of this action with an error, `times` times. */
  fail(action: string, error: { status: number; code: string }, times?: number): void;
  stop(): Promise<void>;
}

interface Target {
  state: 'registered' | 'draining';
  since: number;
}

/** The target groups that the policy of the agents names. */
const GRANTED = 'arn:aws:elasticloadbalancing:*:*:targetgroup/*';
/** One that was registered before the test began. */
const LONG_AGO = Number.NEGATIVE_INFINITY;

export async function startFakeElb(): Promise<FakeElb> {
  const targets = new Map<string, Target>();
  const failures = new Map<string, { status: number; code: string; times: number }>();
  const keyOf = (arn: string, instance: string, port: string) => `${arn} ${instance} ${port}`;

  function healthOf(key: string, instance: string): { state: string; reason?: string } {
    const target = targets.get(key);
    const age = performance.now() - (target?.since ?? 0);
    if (!target || (target.state === 'draining' && age >= elb.delayMs)) {
      return { state: 'unused', reason: 'Target.NotRegistered' };
    }
    if (target.state === 'draining') return { state: 'draining', reason: 'Target.DeregistrationInProgress' };
    if (age < elb.checkMs) return { state: 'initial', reason: 'Elb.InitialHealthChecking' };
    if (elb.isHealthy(instance)) return { state: 'healthy' };
    return { state: 'unhealthy', reason: 'Target.FailedHealthChecks' };
  }

  function answer(form: URLSearchParams): string {
    const arn = form.get('TargetGroupArn') ?? '';
    const instance = form.get('Targets.member.1.Id') ?? '';
    const port = form.get('Targets.member.1.Port') ?? '';
    const key = keyOf(arn, instance, port);
    switch (form.get('Action')) {
      case 'RegisterTargets':
        if (targets.get(key)?.state !== 'registered') {
          targets.set(key, { state: 'registered', since: performance.now() });
        }
        return '';
      case 'DeregisterTargets':
        if (targets.get(key)?.state === 'registered') {
          targets.set(key, { state: 'draining', since: performance.now() });
        }
        return '';
      case 'DescribeTargetHealth': {
        const { state, reason } = healthOf(key, instance);
        const why = reason === undefined ? '' : `<Reason>${reason}</Reason>`;
        const target = `<Target><Id>${instance}</Id><Port>${port || 80}</Port></Target>`;
        const health = `<TargetHealth><State>${state}</State>${why}</TargetHealth>`;
        return `<TargetHealthDescriptions><member>${target}${health}</member></TargetHealthDescriptions>`;
      }
      case 'DescribeTargetGroupAttributes': {
        const seconds = Math.ceil(elb.delayMs / 1000);
        const attribute = `<Key>deregistration_delay.timeout_seconds</Key><Value>${seconds}</Value>`;
        return `<Attributes><member>${attribute}</member></Attributes>`;
      }
      default:
        throw new Error(`the fake knows no ${form.get('Action')}`);
    }
  }

  const server = await startStandIn((request, body, response) => {
    const form = new URLSearchParams(body);
    const action = form.get('Action') ?? '';
    const name = form.get('TargetGroupArn')?.split('/')[1];
    elb.calls.push([action, name, form.get('Targets.member.1.Id')].filter(Boolean).join(' '));
    response.setHeader('content-type', 'text/xml');
    const arn = form.get('TargetGroupArn') ?? '';
    const refusal = standInRefusal(request, `elasticloadbalancing:${action}`, {
      // The actions that read accept no resource.
      resource: action.startsWith('Describe') ? '*' : arn,
      features: { targetGroups: [GRANTED] },
    });
    if (refusal !== undefined) {
      const error = `<Type>Sender</Type><Code>AccessDenied</Code><Message>${refusal}</Message>`;
      response.writeHead(403).end(`<ErrorResponse><Error>${error}</Error></ErrorResponse>`);
      return;
    }
    const failure = failures.get(action);
    if (failure && failure.times > 0) {
      failure.times -= 1;
      const error = `<Type>Sender</Type><Code>${failure.code}</Code><Message>as the test wants it</Message>`;
      response.writeHead(failure.status).end(`<ErrorResponse><Error>${error}</Error></ErrorResponse>`);
      return;
    }
    const result = `<${action}Result>${answer(form)}</${action}Result>`;
    response.end(`<${action}Response>${result}</${action}Response>`);
  });

  const elb: FakeElb = {
    env: { AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2: server.endpoint },
    calls: [],
    isHealthy: () => true,
    delayMs: 50,
    checkMs: 50,
    register: (arn, instance, at) =>
      void targets.set(keyOf(arn, instance, String(at ?? '')), { state: 'registered', since: LONG_AGO }),
    stateOf: (arn, instance, at) => healthOf(keyOf(arn, instance, String(at ?? '')), instance).state,
    fail: (action, error, times = Number.POSITIVE_INFINITY) => void failures.set(action, { ...error, times }),
    stop: server.stop,
  };
  return elb;
}
