/** A policy as anybody may write it: of a role, a topic, a queue or a bucket (IAM User Guide, "IAM JSON policy elements reference"). */
export interface AnyPolicy {
  readonly Version?: string;
  readonly Statement: AnyStatement | readonly AnyStatement[];
}

export interface AnyStatement {
  readonly Sid?: string;
  readonly Effect: string;
  readonly Principal?: '*' | Readonly<Record<string, Some<string>>>;
  readonly Action?: Some<string>;
  readonly NotAction?: Some<string>;
  readonly Resource?: Some<string>;
  readonly NotResource?: Some<string>;
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, Some<string | boolean | number>>>>>;
}

/** One value, or several. */
export type Some<T> = T | readonly T[];

export const listOf = <T>(value: Some<T> | undefined): readonly T[] => {
  if (value === undefined) return [];
  return Array.isArray(value) ? value : [value as T];
};

/** What is known of a request, by condition key. A key that is missing, or undefined, is not in the request's context. */
export type Context = Readonly<Record<string, Some<string> | undefined>>;

/** The value of a condition key; keys have no case (IAM User Guide, "Condition"). */
export function contextValue(context: Context, key: string): Some<string> | undefined {
  const wanted = key.toLowerCase();
  return Object.entries(context).find(([name]) => name.toLowerCase() === wanted)?.[1];
}
