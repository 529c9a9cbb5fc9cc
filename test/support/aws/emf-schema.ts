import type * as z from 'zod';

/**
 * The JSON schema of documents in embedded metric format, as AWS publishes it: Amazon CloudWatch User Guide, "Specification: Embedded
 * metric format", section "Embedded metric format example and JSON schema". Titles, ids and examples are left out. What the text of
 * the specification demands beyond it is checked by `emfMistakes`.
 */
const name = { type: 'string' as const, pattern: '^(.*)$', minLength: 1, maxLength: 255 };
const RATES = ['Bytes', 'Kilobytes', 'Megabytes', 'Gigabytes', 'Terabytes'];
const BITS = ['Bits', 'Kilobits', 'Megabits', 'Gigabits', 'Terabits'];
const UNITS = [
  ...['Seconds', 'Microseconds', 'Milliseconds', ...RATES, ...BITS, 'Percent', 'Count'],
  ...[...RATES, ...BITS, 'Count'].map((unit) => `${unit}\\/Second`),
  'None',
];

export const EMF_SCHEMA: Parameters<typeof z.fromJSONSchema>[0] = {
  type: 'object',
  required: ['_aws'],
  properties: {
    _aws: {
      type: 'object',
      required: ['Timestamp', 'CloudWatchMetrics'],
      properties: {
        Timestamp: { type: 'integer' },
        CloudWatchMetrics: {
          type: 'array',
          items: {
            type: 'object',
            required: ['Namespace', 'Dimensions', 'Metrics'],
            properties: {
              Namespace: name,
              Dimensions: {
                type: 'array',
                minItems: 1,
                items: { type: 'array', minItems: 0, maxItems: 9, items: name },
              },
              Metrics: {
                type: 'array',
                items: {
                  type: 'object',
                  required: ['Name'],
                  properties: { Name: name, Unit: { type: 'string', pattern: `^(${UNITS.join('|')})$` } },
                },
              },
            },
          },
        },
      },
    },
  },
};

interface Document {
  _aws: {
    CloudWatchMetrics: { Dimensions: string[][]; Metrics: { Name: string }[] }[];
  };
  [member: string]: unknown;
}

/** What the text of the specification demands, and the schema does not: the targets of references, and sizes. */
export function emfMistakes(line: string): string[] {
  const document = JSON.parse(line) as Document;
  const directives = document._aws.CloudWatchMetrics;
  const dimensions = new Set(directives.flatMap(({ Dimensions }) => Dimensions.flat()));
  const metrics = directives.flatMap(({ Metrics }) => Metrics.map(({ Name }) => Name));
  return [
    ...(line.includes('\n') ? ['more than one line'] : []),
    ...(Buffer.byteLength(line) > 256 * 1024 ? ['larger than an event of a log'] : []),
    ...directives.filter(({ Metrics }) => Metrics.length > 100).map(() => 'more than 100 metrics'),
    ...directives.filter(({ Metrics }) => Metrics.length === 0).map(() => 'a directive without metrics'),
    ...[...dimensions].filter((one) => typeof document[one] !== 'string').map((one) => `no text: ${one}`),
    ...metrics.filter((one) => !Number.isFinite(document[one])).map((one) => `no number: ${one}`),
    ...metrics.filter((one, i) => metrics.indexOf(one) !== i).map((one) => `twice: ${one}`),
  ];
}
