import { readFileSync } from 'node:fs';
import { parse } from '@cdktf/hcl2json';

/**
 * What Terraform would refuse in a configuration: it is parsed by HashiCorp's own parser, and compared with the schema of the
 * AWS provider, of which a copy of the needed part is beside this file.
 */

interface Argument {
  readonly type?: string;
  readonly block?: Arguments;
  readonly required?: true;
}
type Arguments = Readonly<Record<string, Argument>>;
interface Schema {
  readonly resources: Readonly<
    Record<string, { readonly attributes: readonly string[]; readonly arguments: Arguments }>
  >;
}
type Body = Readonly<Record<string, unknown>>;

export interface Configuration {
  readonly resource: Readonly<Record<string, Readonly<Record<string, readonly Body[]>>>>;
  readonly variable: Readonly<Record<string, readonly Body[]>>;
  readonly output: Readonly<Record<string, readonly Body[]>>;
}

const SCHEMA: Schema = JSON.parse(readFileSync(new URL('./terraform-schema.json', import.meta.url), 'utf8'));
/** Terraform Language, "Meta-arguments". */
const META: Arguments = {
  depends_on: { type: 'string[]' },
  lifecycle: { block: { prevent_destroy: { type: 'boolean' } } },
};

export const readConfiguration = async (text: string): Promise<Configuration> =>
  (await parse('environment.tf', text)) as unknown as Configuration;

/** The value of an attribute that is `jsonencode(…)`, with references as they are written. */
export async function decoded(text: unknown): Promise<unknown> {
  const [, inner = ''] = /^\$\{jsonencode\(([\s\S]*)\)\}$/.exec(String(text)) ?? [];
  const { value } = (await parse('value.tf', `value = ${inner}\n`)) as { value?: unknown };
  return JSON.parse(JSON.stringify(value).replaceAll('$${', '${'));
}

/** Every mistake, one line each. */
export function mistakesIn(configuration: Configuration): string[] {
  const mistakes: string[] = [];
  const say = (path: string, what: string) => void mistakes.push(`${path}: ${what}`);
  for (const [type, labels] of Object.entries(configuration.resource)) {
    const schema = SCHEMA.resources[type];
    for (const [label, bodies] of Object.entries(labels)) {
      const path = `${type}.${label}`;
      if (bodies.length !== 1) say(path, 'is there twice');
      if (schema === undefined) say(path, 'unknown type');
      else for (const body of bodies) checkBody(path, body, { ...schema.arguments, ...META }, say);
    }
  }
  checkReferences(JSON.stringify(configuration), configuration, say);
  return mistakes;
}

type Say = (path: string, what: string) => void;

function checkBody(path: string, body: Body, known: Arguments, say: Say): void {
  for (const key of Object.keys(body))
    if (!Object.hasOwn(known, key)) say(`${path}.${key}`, 'unknown argument');
  for (const [key, { type, block, required }] of Object.entries(known)) {
    const value = body[key];
    const where = `${path}.${key}`;
    if (value === undefined) {
      if (required) say(where, 'is required');
    } else if (block !== undefined) {
      for (const one of Array.isArray(value) ? value : [value]) checkBody(where, one as Body, block, say);
    } else if (!isOf(type ?? '', value)) say(where, `is ${JSON.stringify(value)}, expected ${type}`);
  }
}

function isOf(type: string, value: unknown): boolean {
  if (type === 'string[]') return Array.isArray(value) && value.every((one) => typeof one === 'string');
  if (type === 'map') return typeof value === 'object';
  return typeof value === type;
}

/** `${aws_sns_topic.events.arn}` and `${var.principal}`; in what `jsonencode` encodes they stand without braces. */
function checkReferences(text: string, { resource, variable }: Configuration, say: Say): void {
  for (const [, name = ''] of text.matchAll(/\bvar\.(\w+)/g)) if (!variable[name]) say('var', `no ${name}`);
  for (const [whole, type = '', label = '', attribute] of text.matchAll(/\b(aws_\w+)\.(\w+)(?:\.(\w+))?/g)) {
    if (resource[type]?.[label] === undefined) say(whole, 'leads to no resource');
    if (attribute !== undefined && !SCHEMA.resources[type]?.attributes.includes(attribute)) {
      say(whole, 'leads to no attribute');
    }
  }
}
