/** Writes HCL, the language of Terraform, in the form of `terraform fmt`. Pure. */

/** An expression, such as a reference to another resource: written as it is. */
export class Expression {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export type Value =
  | string
  | number
  | boolean
  | Expression
  | readonly Value[]
  | { readonly [key: string]: Value | undefined };

export interface Block {
  type: string;
  labels: readonly string[];
  attributes: Readonly<Record<string, Value | undefined>>;
  blocks: readonly Block[];
}

type Attributes = Block['attributes'];

export const block = (
  type: string,
  labels: readonly string[],
  attributes: Attributes,
  ...blocks: readonly Block[]
): Block => ({ type, labels, attributes, blocks });

/** An expression of the call of a function with one value: `jsonencode({ … })`. */
export const call = (name: string, value: unknown): Expression =>
  new Expression(`${name}(${valueText(value as Value, '')})`);

export const hcl = (blocks: readonly Block[]): string => blocks.map((one) => blockText(one, '')).join('\n');

function blockText({ type, labels, attributes, blocks }: Block, indent: string): string {
  const head = [type, ...labels.map((label) => JSON.stringify(label))].join(' ');
  const inner = `${indent}  `;
  const parts = [pairsText(attributes, inner, String), ...blocks.map((one) => blockText(one, inner))];
  const body = parts.filter((part) => part !== '').join('\n');
  return `${indent}${head} {\n${body}${indent}}\n`;
}

/** Lines `key = value`; `terraform fmt` aligns the `=` of consecutive values that have one line. */
function pairsText(pairs: Attributes, indent: string, keyText: (key: string) => string): string {
  const written = Object.entries(pairs).flatMap(([key, value]) =>
    value === undefined ? [] : [{ key: keyText(key), text: valueText(value, indent) }],
  );
  const groups: (typeof written)[] = [];
  for (const [i, pair] of written.entries()) {
    const before = written[i - 1];
    const isApart = before === undefined || before.text.includes('\n') || pair.text.includes('\n');
    if (isApart) groups.push([]);
    groups.at(-1)?.push(pair);
  }
  return groups
    .flatMap((group) => {
      const width = Math.max(...group.map(({ key }) => key.length));
      return group.map(({ key, text }) => `${indent}${key.padEnd(width)} = ${text}\n`);
    })
    .join('');
}

function valueText(value: Value, indent: string): string {
  if (value instanceof Expression) return value.text.replaceAll('\n', `\n${indent}`);
  if (typeof value === 'string') return stringText(value);
  if (typeof value !== 'object') return String(value);
  if (!isList(value)) return `{\n${pairsText(value, `${indent}  `, keyText)}${indent}}`;
  const items = value.map((item) => valueText(item, `${indent}  `));
  const oneLine = `[${items.join(', ')}]`;
  if (!oneLine.includes('\n') && oneLine.length <= 90) return oneLine;
  return `[\n${items.map((item) => `${indent}  ${item},\n`).join('')}${indent}]`;
}

const isList = (value: Value): value is readonly Value[] => Array.isArray(value);

const keyText = (key: string) => (/^[A-Za-z_][A-Za-z0-9_-]*$/.test(key) ? key : stringText(key));

/** Terraform Language, "Strings and templates": `$${` and `%%{` are a literal `${` and `%{`. */
const stringText = (text: string) =>
  JSON.stringify(text).replace(/[$%]\{/g, (opening) => `${opening.charAt(0)}${opening}`);
