interface Statement {
  readonly Effect?: string;
  readonly Principal?: unknown;
  readonly Action?: unknown;
  readonly Resource?: unknown;
  readonly Condition?: Record<string, Record<string, unknown>>;
}

/** The condition operators that can compare `aws:SourceArn`; any other one is never met here. */
const OPERATORS = new Set(['ArnEquals', 'ArnLike', 'StringEquals', 'StringLike']);

/**
 * Whether a queue's policy lets SNS deliver a topic's messages (SQS Developer Guide, "Basic examples of Amazon SQS
 * policies"; IAM User Guide, "Policy evaluation logic": a Deny wins, nothing is allowed by default).
 * A queue without a policy gets nothing, and no error is reported, neither to the publisher nor to the subscriber.
 */
export function policyAllowsTopic(policy: string | undefined, queueArn: string, topicArn: string): boolean {
  if (!policy) return false;
  const { Statement = [] } = JSON.parse(policy) as { Statement?: Statement | Statement[] };
  const applying = list(Statement).filter((statement) => applies(statement as Statement, queueArn, topicArn));
  const effects = applying.map((statement) => (statement as Statement).Effect);
  return effects.includes('Allow') && !effects.includes('Deny');
}

function applies(statement: Statement, queueArn: string, topicArn: string): boolean {
  return (
    isSns(statement.Principal) &&
    anyLike(statement.Action, 'sqs:sendmessage', (action) => action.toLowerCase()) &&
    anyLike(statement.Resource, queueArn) &&
    Object.entries(statement.Condition ?? {}).every(
      ([operator, keys]) =>
        OPERATORS.has(operator) &&
        Object.entries(keys).every(
          ([key, values]) => key.toLowerCase() === 'aws:sourcearn' && anyLike(values, topicArn),
        ),
    )
  );
}

function isSns(principal: unknown): boolean {
  if (principal === '*') return true;
  if (typeof principal !== 'object' || principal === null) return false;
  const { Service, AWS } = principal as { Service?: unknown; AWS?: unknown };
  return list(Service).includes('sns.amazonaws.com') || list(AWS).includes('*');
}

function anyLike(patterns: unknown, value: string, fold: (text: string) => string = (text) => text): boolean {
  return list(patterns).some((pattern) => typeof pattern === 'string' && like(fold(pattern), value));
}

/** Whether `value` matches `pattern`, in which `*` is any text and `?` any character. */
function like(pattern: string, value: string): boolean {
  const literal = (text: string): string => text.replace(/[\\^$.|+()[\]{}]/g, '\\$&');
  return new RegExp(`^${literal(pattern).replaceAll('*', '.*').replaceAll('?', '.')}$`).test(value);
}

function list(value: unknown): unknown[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? value : [value];
}
