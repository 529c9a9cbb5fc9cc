/**
 * Policies of resources: their form, whether two statements say the same, and how own statements come into a policy that
 * has others. Pure.
 */

export interface Statement {
  Sid?: string;
  Effect: 'Allow' | 'Deny';
  Principal?: '*' | Readonly<Record<string, string | readonly string[]>>;
  Action: string | readonly string[];
  Resource: string | readonly string[];
  Condition?: Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;
}

export interface PolicyDocument {
  Version: '2012-10-17';
  Statement: readonly Statement[];
}

export const documentOf = (...Statement: readonly Statement[]): PolicyDocument => ({
  Version: '2012-10-17',
  Statement,
});

/** A policy as AWS returns it: another tool may have written it, so nothing is known of its form. */
export interface ForeignPolicy {
  Statement?: unknown;
  [key: string]: unknown;
}

/**
 * The policy with each of `own` in it: a statement with the same Sid is replaced if it says something else, and a
 * statement that is missing is added. All others stay as they are, except those for which `drop` is true. Undefined when
 * the policy is right already.
 */
export function withStatements(
  policy: ForeignPolicy | undefined,
  own: readonly Statement[],
  drop: (statement: unknown) => boolean = () => false,
): ForeignPolicy | undefined {
  const found = statementsOf(policy);
  const kept = found.filter((statement) => !drop(statement));
  const isStale = (wanted: Statement) =>
    kept.some((other) => sidOf(other) === wanted.Sid && !saysTheSame(other, wanted));
  const missing = own.filter(
    (wanted) => isStale(wanted) || !kept.some((other) => saysTheSame(other, wanted)),
  );
  if (policy !== undefined && missing.length === 0 && kept.length === found.length) return undefined;
  const replaced = new Set(missing.map(({ Sid }) => Sid));
  const others = kept.filter((other) => !replaced.has(sidOf(other)));
  return { Version: '2012-10-17', ...policy, Statement: [...others, ...missing] };
}

/** The statements of a policy; AWS takes one statement without a list, too. */
function statementsOf(policy: ForeignPolicy | undefined): unknown[] {
  return listed(policy?.Statement);
}

const sidOf = (statement: unknown): string | undefined =>
  (statement as { Sid?: string } | undefined | null)?.Sid;

/** Whether two statements say the same, whatever their Sid: AWS and other tools write one value and a list of one alike. */
function saysTheSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(plain(one)) === JSON.stringify(plain(other));
}

/** A statement in one of the forms that mean the same. Names of actions and of condition keys have no case. */
function plain(statement: unknown): unknown {
  const { Effect, Principal, Action, NotAction, Resource, Condition } = (statement ?? {}) as Record<
    string,
    unknown
  >;
  const conditions = Object.entries((Condition ?? {}) as object).map(([operator, keys]) => [
    operator,
    sorted(Object.entries(keys as object).map(([key, value]) => [key.toLowerCase(), listed(value)])),
  ]);
  return {
    Effect,
    Principal: principalOf(Principal),
    Action: sorted(listed(Action).map((action) => String(action).toLowerCase())),
    NotAction: sorted(listed(NotAction)),
    Resource: sorted(listed(Resource)),
    Condition: sorted(conditions),
  };
}

function principalOf(principal: unknown): unknown {
  if (typeof principal !== 'object' || principal === null) return principal;
  const entries = Object.entries(principal).map(([kind, who]) => [kind, sorted(listed(who))]);
  const [first] = entries;
  // IAM User Guide, "AWS JSON policy elements: Principal": both mean everyone.
  if (entries.length === 1 && first?.[0] === 'AWS' && JSON.stringify(first[1]) === '["*"]') return '*';
  return sorted(entries);
}

const sorted = (list: readonly unknown[]) =>
  [...list].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));

function listed(value: unknown): unknown[] {
  if (value === undefined) return [];
  return (Array.isArray(value) ? value : [value]).map((one) =>
    typeof one === 'boolean' ? String(one) : one,
  );
}
