import { meetsConditions } from './conditions.ts';
import { type AnyPolicy, type AnyStatement, type Context, listOf, type Some } from './document.ts';
import { isLike, isLikeArn, type Matching } from './patterns.ts';

/**
 * Whether IAM allows a request (IAM User Guide, "Policy evaluation logic", "Policy evaluation for requests within a single
 * account"): a Deny that applies wins; else an Allow of a policy of the role or of the resource is enough; else it is
 * denied. Permission boundaries, session policies and those of an organization are not here: the project makes none.
 */

export interface IamRequest {
  /** `s3:GetObject` */
  readonly action: string;
  /** An ARN, or `*` for an action that has no resource. */
  readonly resource: string;
  readonly context: Context;
  /** Who asks, for policies of resources. */
  readonly principal?: Principal;
}

/** A service of AWS, such as `sns.amazonaws.com`, or the ARN of a user, or those of a role session: the role's and its own. */
export type Principal = { readonly Service: Some<string> } | { readonly AWS: Some<string> };

export interface Attached {
  /** Those of the role. */
  readonly identity?: readonly AnyPolicy[];
  /** That of the topic, queue or bucket. */
  readonly resource?: AnyPolicy | undefined;
}

export type Decision =
  | { readonly isAllowed: true }
  | { readonly isAllowed: false; readonly why: 'no policy allows the action' | 'an explicit deny' };

export function evaluate(request: IamRequest, { identity = [], resource }: Attached): Decision {
  const applying = [
    ...identity.flatMap((policy) => applyingStatements(policy, request)),
    ...(resource ? applyingStatements(resource, request, true) : []),
  ];
  if (applying.some(({ Effect }) => Effect === 'Deny')) return { isAllowed: false, why: 'an explicit deny' };
  if (applying.length === 0) return { isAllowed: false, why: 'no policy allows the action' };
  return { isAllowed: true };
}

function applyingStatements(policy: AnyPolicy, request: IamRequest, isOfResource = false): AnyStatement[] {
  const how = { context: request.context, hasVariables: policy.Version === '2012-10-17' };
  return listOf(policy.Statement).filter((statement) => {
    if (statement.Effect !== 'Allow' && statement.Effect !== 'Deny') {
      throw new Error(`the Effect ${statement.Effect} is neither Allow nor Deny`);
    }
    return (
      isOfResource === (statement.Principal !== undefined || 'NotPrincipal' in statement) &&
      (!isOfResource || isOfPrincipal(statement, request)) &&
      isAbout(statement, request, how) &&
      meetsConditions(statement, how)
    );
  });
}

function isAbout(statement: AnyStatement, { action, resource }: IamRequest, how: Matching): boolean {
  const { Action, NotAction, Resource, NotResource } = statement;
  if ((Action === undefined) === (NotAction === undefined)) throw new Error('one of Action and NotAction');
  if ((Resource === undefined) === (NotResource === undefined))
    throw new Error('one of Resource and NotResource');
  const noVariables = { context: {}, hasVariables: false, isCaseless: true };
  const isNamed = listOf(Action ?? NotAction).some((pattern) => isLike(pattern, action, noVariables));
  if (isNamed !== (Action !== undefined)) return false;
  const isThere = listOf(Resource ?? NotResource).some((pattern) => isLikeArn(pattern, resource, how));
  return isThere === (Resource !== undefined);
}

/**
 * IAM User Guide, "AWS JSON policy elements: Principal": `*` is everybody. The account's ARN is all of its roles, but an
 * Allow for it only lets the account allow it: the role's own policy has to do so.
 */
function isOfPrincipal({ Effect, Principal, ...rest }: AnyStatement, { principal }: IamRequest): boolean {
  if ('NotPrincipal' in rest || Principal === undefined) throw new Error('NotPrincipal is not known here');
  if (Principal === '*') return true;
  if (principal === undefined) return false;
  return Object.entries(principal).some(([kind, names]) =>
    listOf(Principal[kind]).some(
      (one) =>
        listOf(names).includes(one) ||
        (kind === 'AWS' && (one === '*' || (Effect === 'Deny' && isAccountOf(one, listOf(names)[0] ?? '')))),
    ),
  );
}

function isAccountOf(pattern: string, arn: string): boolean {
  const account = arn.split(':')[4];
  return pattern === account || new RegExp(`^arn:[^:]+:iam::${account}:root$`).test(pattern);
}
