import {
  CreateTopicCommand,
  GetTopicAttributesCommand,
  SetTopicAttributesCommand,
} from '@aws-sdk/client-sns';
import type { Aws } from '../../shared/aws.ts';
import { awsErrorName } from '../../shared/aws-errors.ts';
import { type ForeignPolicy, withStatements } from './policy-document.ts';
import type { Look, Setting } from './setting.ts';
import { isDefaultStatement, type Wanted, type WantedTopic } from './wanted.ts';

/** The topics: created with their policy, and the policy kept right. */

/**
 * The topic of the announcements goes without SNS's default statement. The topic of the notifications keeps it, because
 * CloudWatch alarms of the account may publish by it.
 */
export function topicSettings({ sns }: Pick<Aws, 'sns'>, wanted: Wanted): Setting[] {
  const { topic, events, account } = wanted;
  const drop = (statement: unknown) => isDefaultStatement(statement, account);
  return [
    topicSetting(sns, { thing: 'topic', topic, drop }),
    ...(events === undefined
      ? []
      : [topicSetting(sns, { thing: 'events topic', topic: events, drop: () => false })]),
  ];
}

interface TopicToKeep {
  thing: string;
  topic: WantedTopic;
  drop: (statement: unknown) => boolean;
}

function topicSetting(sns: Aws['sns'], { thing, topic, drop }: TopicToKeep): Setting {
  async function create(): Promise<void> {
    // With its policy from the start. An answer that was lost is no harm: to create the same topic again does nothing.
    await sns.send(
      new CreateTopicCommand({ Name: topic.name, Attributes: { Policy: JSON.stringify(topic.policy) } }),
    );
  }
  async function setPolicy(policy: ForeignPolicy): Promise<void> {
    const value = { AttributeName: 'Policy', AttributeValue: JSON.stringify(policy) };
    await sns.send(new SetTopicAttributesCommand({ TopicArn: topic.arn, ...value }));
  }
  const setting: Setting = {
    thing: `${thing} ${topic.name}`,
    reads: 'sns:GetTopicAttributes',
    writes: 'sns:CreateTopic',
    async look(): Promise<Look> {
      setting.writes = 'sns:CreateTopic';
      const attributes = await attributesOf(sns, topic.arn);
      if (attributes === undefined) {
        return { text: 'does not exist', wanted: 'created with its policy', missing: true, mend: create };
      }
      setting.writes = 'sns:SetTopicAttributes';
      const found =
        attributes.Policy === undefined ? undefined : (JSON.parse(attributes.Policy) as ForeignPolicy);
      const merged = withStatements(found, topic.policy.Statement, drop);
      if (merged === undefined) return { text: 'exists, with its policy' };
      return {
        text: 'its policy differs',
        wanted: 'set, with the statements of others kept',
        mend: () => setPolicy(merged),
      };
    },
  };
  return setting;
}

async function attributesOf(sns: Aws['sns'], TopicArn: string): Promise<Record<string, string> | undefined> {
  try {
    const { Attributes = {} } = await sns.send(new GetTopicAttributesCommand({ TopicArn }));
    return Attributes;
  } catch (error) {
    if (/^NotFound(Exception)?$/.test(awsErrorName(error))) return undefined;
    throw error;
  }
}
