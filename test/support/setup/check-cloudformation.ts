import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

/** What CloudFormation would refuse in a template, by its own resource schemas; a copy of the needed part is beside this file. */

type Shape =
  | 'any'
  | 'json'
  | 'string'
  | 'number'
  | 'integer'
  | 'boolean'
  | 'date-time'
  | { readonly properties: Properties }
  | { readonly array: Shape }
  | { readonly map: true }
  | { readonly oneOf: readonly Shape[] };
type Properties = Readonly<Record<string, { readonly type: Shape; readonly required?: true }>>;

interface Schema {
  readonly resources: Readonly<
    Record<string, { readonly attributes: readonly string[]; readonly properties: Properties }>
  >;
}

export interface Template {
  readonly Parameters: Readonly<Record<string, { readonly Type: string; readonly Default?: string }>>;
  readonly Resources: Readonly<Record<string, CfnResource>>;
  readonly Outputs: Readonly<Record<string, { readonly Value: unknown }>>;
}

export interface CfnResource {
  readonly Type: string;
  readonly Properties: Readonly<Record<string, unknown>>;
  readonly DependsOn?: string;
}

const SCHEMA: Schema = JSON.parse(
  readFileSync(new URL('./cloudformation-schema.json', import.meta.url), 'utf8'),
);
const SECTIONS = ['AWSTemplateFormatVersion', 'Description', 'Parameters', 'Resources', 'Outputs'];
const ATTRIBUTES = ['Type', 'Properties', 'DependsOn', 'DeletionPolicy', 'UpdateReplacePolicy'];

/** As YAML 1.1, as CloudFormation reads it. Throws for a key that is there twice. */
export const readTemplate = (text: string): Template =>
  parse(text, { version: '1.1', uniqueKeys: true }) as Template;

/** Every mistake, one line each. */
export function mistakesIn(template: Template): string[] {
  const mistakes: string[] = [];
  const say = (path: string, what: string) => void mistakes.push(`${path}: ${what}`);
  for (const section of Object.keys(template))
    if (!SECTIONS.includes(section)) say(section, 'unknown section');
  for (const [name, resource] of Object.entries(template.Resources)) {
    if (!/^[A-Za-z0-9]{1,255}$/.test(name)) say(name, 'a logical name has letters and digits');
    for (const key of Object.keys(resource)) if (!ATTRIBUTES.includes(key)) say(name, `unknown ${key}`);
    const schema = SCHEMA.resources[resource.Type];
    if (schema === undefined) say(name, `unknown type ${resource.Type}`);
    else checkProperties(name, resource.Properties, schema.properties, say);
    const { DependsOn } = resource;
    if (DependsOn !== undefined && !Object.hasOwn(template.Resources, DependsOn))
      say(name, `no ${DependsOn}`);
  }
  checkReferences('', template, template, say);
  return mistakes;
}

type Say = (path: string, what: string) => void;

function checkProperties(path: string, value: unknown, properties: Properties, say: Say): void {
  if (!isObject(value)) {
    say(path, 'is no object');
    return;
  }
  for (const key of Object.keys(value)) {
    if (!Object.hasOwn(properties, key)) say(`${path}.${key}`, 'unknown property');
  }
  for (const [key, { type, required }] of Object.entries(properties)) {
    if (value[key] !== undefined) checkShape(`${path}.${key}`, value[key], type, say);
    else if (required) say(`${path}.${key}`, 'is required');
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function checkShape(path: string, value: unknown, shape: Shape, say: Say): void {
  if (isIntrinsic(value)) return;
  if (shape === 'any') say(path, 'its form is not in the copy of the schema: take it anew');
  else if (typeof shape === 'string') {
    if (!isOf(shape, value)) say(path, `is ${JSON.stringify(value)}, expected a ${shape}`);
  } else if ('properties' in shape) checkProperties(path, value, shape.properties, say);
  else if ('array' in shape) {
    if (!Array.isArray(value)) say(path, 'is no list');
    else for (const [i, item] of value.entries()) checkShape(`${path}[${i}]`, item, shape.array, say);
  } else if ('map' in shape) {
    if (!isObject(value)) say(path, 'is no map');
  } else if (!shape.oneOf.some((one) => fits(path, value, one))) say(path, 'has none of the possible forms');
}

function isOf(type: string, value: unknown): boolean {
  if (type === 'json') return isObject(value);
  if (type === 'integer') return Number.isInteger(value);
  return typeof value === (type === 'date-time' ? 'string' : type);
}

function fits(path: string, value: unknown, shape: Shape): boolean {
  let isRight = true;
  checkShape(path, value, shape, () => {
    isRight = false;
  });
  return isRight;
}

const isIntrinsic = (value: unknown): boolean =>
  typeof value === 'object' &&
  value !== null &&
  Object.keys(value).length === 1 &&
  /^(Ref|Fn::)/.test(Object.keys(value)[0] ?? '');

/** Every Ref and Fn::GetAtt leads to a parameter, a resource or one of its attributes; nothing is computed otherwise. */
function checkReferences(path: string, value: unknown, template: Template, say: Say): void {
  if (typeof value !== 'object' || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    const where = `${path}.${key}`;
    if (key === 'Ref') {
      const isKnown =
        Object.hasOwn(template.Resources, String(inner)) || Object.hasOwn(template.Parameters, String(inner));
      if (!isKnown) say(where, `leads to no ${inner}`);
    } else if (key === 'Fn::GetAtt') {
      const [name = '', attribute = ''] = inner as string[];
      const type = template.Resources[name]?.Type ?? '';
      if (!SCHEMA.resources[type]?.attributes.includes(attribute))
        say(where, `leads to no ${name}.${attribute}`);
    } else if (key.startsWith('Fn::')) say(where, 'is not expected');
    else checkReferences(where, inner, template, say);
  }
}
