import { GetTopicAttributesCommand } from '@aws-sdk/client-sns';
import { awsError } from '../../shared/aws-errors.ts';
import { type AwsService, reach } from '../../shared/endpoints.ts';
import { isCode } from '../../shared/errors.ts';
import type { Session } from '../session.ts';
import { endpointId } from './endpoints.ts';
import type { DoctorFinding } from './finding.ts';

/** What the config names besides topic and bucket: alarms, EC2, the topic of notifications, role sessions, keys. */

/** @throws the reason of the session's signal. */
export async function examineConfigured(
  session: Session,
  instances: readonly string[],
): Promise<DoctorFinding[]> {
  const found = await Promise.all([alarms(session), ec2(session), events(session)]);
  return [...found.flat(), ...sessions(session, instances), ...trustedKeys(session)];
}

/** Denied is wrong, because the config asks for it. A service that does not answer is a finding of its own. */
async function asked(
  { env, signal }: Session,
  { id, service, action }: { id: string; service: AwsService; action: string },
  ask: (signal: AbortSignal) => Promise<DoctorFinding[]>,
): Promise<DoctorFinding[]> {
  let findings: DoctorFinding[] = [];
  const answer = await reach(service, env.region, { signal }, async (within) => {
    findings = await ask(within);
  });
  const { state, what, hint, error } = answer;
  const slow: DoctorFinding[] =
    state === 'answers' ? [] : [{ id: endpointId(service), state: 'wrong', what, hint }];
  if (state === 'down' || error === undefined) return [...slow, ...findings];
  if (!isCode(error)) throw error;
  const needs = `it needs ${action}: trigger-deploy init --env ${env.name} --print iam prints the policy of a publisher`;
  const todo = error.code === 'AWS_DENIED' ? needs : error.hint;
  return [...slow, { id, state: 'wrong', what: error.message, hint: todo }];
}

async function alarms(session: Session): Promise<DoctorFinding[]> {
  const { aws, env } = session;
  const byName = Object.entries(env.services).flatMap(([service, { alarms: own = [] }]) =>
    own.map((one) => ({ service, name: typeof one === 'string' ? one : one.name })),
  );
  if (byName.length === 0) return [];
  const about = { id: 'alarms', service: 'CloudWatch' as const, action: 'cloudwatch:DescribeAlarms' };
  return await asked(session, about, async (signal) => {
    // Loaded only where alarms are configured: the client of CloudWatch is large.
    const { openAlarms } = await import('../checks/cloudwatch.ts');
    const names = [...new Set(byName.map(({ name }) => name))];
    const exist = new Set<string>();
    for (let at = 0; at < names.length; at += 100) {
      const reader = openAlarms(aws, names.slice(at, at + 100));
      try {
        for (const { name } of await reader.read(signal)) exist.add(name);
      } finally {
        reader.close();
      }
    }
    const lost = byName.filter(({ name }) => !exist.has(name));
    if (lost.length === 0) return [{ id: 'alarms', state: 'ok', what: `${names.length} alarms exist` }];
    return lost.map(({ service, name }) => ({
      ...{ id: 'alarms', service, state: 'wrong' as const, what: `there is no CloudWatch alarm ${name}` },
      hint: `correct environments.${env.name}.services.${service}.alarms: no deployment of it begins without; aws cloudwatch describe-alarms --region ${env.region} lists them`,
    }));
  });
}

async function ec2(session: Session): Promise<DoctorFinding[]> {
  if (session.env.ec2 !== true) return [];
  const about = { id: 'ec2', service: 'EC2' as const, action: 'ec2:DescribeInstances' };
  return await asked(session, about, async (signal) => {
    const { ec2States } = await import('../fleet/ec2.ts');
    // No instance has this id. Who may ask for it may ask for all: the action knows no resources.
    await ec2States({ aws: session.aws, signal }, [`i-${'0'.repeat(17)}`]);
    return [{ id: 'ec2', state: 'ok', what: 'EC2 can be asked for instances' }];
  });
}

async function events(session: Session): Promise<DoctorFinding[]> {
  const { aws, env } = session;
  const topic = env.notify?.events;
  if (topic === undefined) return [];
  const about = { id: 'events-topic', service: 'SNS' as const, action: 'sns:GetTopicAttributes' };
  return await asked(session, about, async (abortSignal) => {
    try {
      await aws.sns.send(new GetTopicAttributesCommand({ TopicArn: topic }), { abortSignal });
      return [{ id: 'events-topic', state: 'ok', what: `the topic ${topic} exists` }];
    } catch (error) {
      abortSignal.throwIfAborted();
      const failure = awsError(error, `read the topic ${topic}`);
      // A publisher needs only to publish there, and another account may own it.
      if (failure.code === 'AWS_DENIED') {
        const hint = 'it needs sns:GetTopicAttributes on the topic of notify.events';
        return [{ id: 'events-topic', state: 'unknown', what: failure.message, hint }];
      }
      if (failure.code !== 'TOPIC_NOT_FOUND') throw failure;
      const hint = `aws sns create-topic --name ${topic.split(':').at(-1)} --region ${env.region}; or correct environments.${env.name}.notify.events`;
      const what = `there is no topic ${topic}: nobody gets the notifications`;
      return [{ id: 'events-topic', state: 'wrong', what, hint }];
    }
  });
}

/** A role session that no instance has may be given to another one, which is then believed. */
function sessions({ env }: Session, instances: readonly string[]): DoctorFinding[] {
  const unused = Object.keys(env.sessions ?? {}).filter((instance) => !instances.includes(instance));
  return unused.map((instance) => ({
    ...{
      id: 'sessions',
      state: 'ok' as const,
      instance,
      what: `sessions names ${instance}, which is unknown`,
    },
    hint: `if it is gone for good, remove environments.${env.name}.sessions.${instance}`,
  }));
}

/** More keys than the one that signs are a rotation that was not completed. */
function trustedKeys({ env }: Session): DoctorFinding[] {
  if (env.signingKey === undefined || env.trust.length === 0) return [];
  return [
    {
      id: 'trust-keys',
      state: 'ok',
      what: `trust has ${env.trust.length} public keys besides the signing key`,
      hint: `trigger-deploy keygen --rotate --check --env ${env.name} shows what they have signed that is in force; remove a key that nothing needs`,
    },
  ];
}
