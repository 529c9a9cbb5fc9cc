import { type AnyStatement, contextValue, listOf } from './document.ts';
import { isEqual, isLike, isLikeArn, type Matching } from './patterns.ts';

/**
 * The Condition of a statement (IAM User Guide, "IAM JSON policy elements: Condition operators", "Conditions with
 * multiple context keys or values", "Set operators for multivalued context keys").
 */

interface Operator {
  /** Whether one value of the policy fits one of the request. */
  readonly fits: (policy: string, request: string, how: Matching) => boolean;
  /** True only where no value fits; a request without the key fulfils it. */
  readonly isNegated?: boolean;
}

const caseless = (fits: typeof isEqual) => (policy: string, request: string, how: Matching) =>
  fits(policy, request, { ...how, isCaseless: true });
const number = (compare: (request: number, policy: number) => boolean) => (policy: string, request: string) =>
  compare(Number(request), Number(policy));

const OPERATORS: Readonly<Record<string, Operator>> = {
  StringEquals: { fits: isEqual },
  StringNotEquals: { fits: isEqual, isNegated: true },
  StringEqualsIgnoreCase: { fits: caseless(isEqual) },
  StringNotEqualsIgnoreCase: { fits: caseless(isEqual), isNegated: true },
  StringLike: { fits: isLike },
  StringNotLike: { fits: isLike, isNegated: true },
  // "ArnEquals and ArnLike behave identically."
  ArnEquals: { fits: isLikeArn },
  ArnLike: { fits: isLikeArn },
  ArnNotEquals: { fits: isLikeArn, isNegated: true },
  ArnNotLike: { fits: isLikeArn, isNegated: true },
  Bool: { fits: (policy, request) => policy.toLowerCase() === request.toLowerCase() },
  NumericEquals: { fits: number((request, policy) => request === policy) },
  NumericLessThan: { fits: number((request, policy) => request < policy) },
  NumericLessThanEquals: { fits: number((request, policy) => request <= policy) },
  NumericGreaterThan: { fits: number((request, policy) => request > policy) },
  NumericGreaterThanEquals: { fits: number((request, policy) => request >= policy) },
};

/** Whether the request meets all conditions. @throws on an operator that is not here: no test may pass by a guess. */
export function meetsConditions({ Condition = {} }: AnyStatement, how: Matching): boolean {
  return Object.entries(Condition).every(([name, keys]) =>
    Object.entries(keys).every(([key, values]) =>
      meets(name, key, listOf(values).map(String), contextValue(how.context, key), how),
    ),
  );
}

function meets(
  name: string,
  key: string,
  values: readonly string[],
  asked: ReturnType<typeof contextValue>,
  how: Matching,
): boolean {
  if (name === 'Null') return values.some((value) => (value === 'true') === (asked === undefined));
  const [, set, base = '', ifExists] = /^(?:(ForAllValues|ForAnyValue):)?(\w+?)(IfExists)?$/.exec(name) ?? [];
  const operator = OPERATORS[base];
  if (operator === undefined) throw new Error(`the condition operator ${name} is not known here`);
  if (asked === undefined && ifExists !== undefined) return true;
  const one = (request: string) => {
    const fits = values.some((value) => operator.fits(value, request, how));
    return operator.isNegated ? !fits : fits;
  };
  const all = listOf<string>(asked);
  if (set === 'ForAllValues') return all.every(one);
  if (set === 'ForAnyValue') return all.some(one);
  if (Array.isArray(asked))
    throw new Error(`${key} has several values: ${name} needs ForAllValues or ForAnyValue`);
  return asked === undefined ? operator.isNegated === true : one(asked as string);
}
