import {
  agentOfDeployment,
  bill,
  deployment,
  idleDay,
  month,
  publisherOfDeployment,
  totalOf,
} from './formula.ts';

/** The tables of docs/SCALE.md, from the formula. Pure. */

const INSTANCES = [10, 1000, 10_000] as const;
const SERVICES = [1, 10, 50] as const;
const DEPLOYMENTS = [10, 100] as const;

const count = (value: number) => Math.round(value).toLocaleString('en-US');
const millions = (value: number) => (value / 1_000_000).toFixed(value < 10_000_000 ? 2 : 0);
const dollars = (value: number) => (value < 10 ? value.toFixed(2) : count(value));
const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
const table = (head: readonly string[], rows: readonly (readonly string[])[]) =>
  [row(head), row(head.map((_, i) => (i === 0 ? '---' : '---:'))), ...rows.map(row)].join('\n');

/** The text of each block of the page, by its name. */
function scaleTables(): Record<string, string> {
  const operations = [
    ...new Set([idleDay(1), agentOfDeployment('jar'), publisherOfDeployment(1)].flatMap(Object.keys)),
  ];
  const of = (calls: Record<string, number>, name: string) => count(calls[name] ?? 0);
  const calls = table(
    [
      'operation',
      'idle agent, 1 service, a day',
      '50 services',
      'each agent, a deployment',
      'publisher, 1,000 instances',
    ],
    operations.map((name) => [
      name,
      of(idleDay(1), name),
      of(idleDay(50), name),
      of(agentOfDeployment('jar'), name),
      of(publisherOfDeployment(1000), name),
    ]),
  );
  const bills = table(
    [
      'instances',
      'services',
      'deployments a day',
      'calls a month, millions',
      'SQS, $',
      'SNS, $',
      'S3, $',
      'all, $',
    ],
    INSTANCES.flatMap((instances) =>
      SERVICES.flatMap((services) =>
        DEPLOYMENTS.map((deploymentsADay) => {
          const all = month({ instances, services, deploymentsADay });
          const { SQS, SNS, 'S3 PUT': put, 'S3 GET': get } = bill(all);
          const amounts = [SQS, SNS, put + get, SQS + SNS + put + get].map(dollars);
          return [
            count(instances),
            count(services),
            count(deploymentsADay),
            millions(totalOf(all)),
            ...amounts,
          ];
        }),
      ),
    ),
  );
  const rates = table(
    ['what', ...INSTANCES.map((instances) => `${count(instances)} instances`)],
    [
      ['SNS Subscribe, idle, a second', ...INSTANCES.map((n) => ((n * 71) / 86_400).toFixed(3))],
      ['S3 PUT, idle, a second', ...INSTANCES.map((n) => ((n * 72) / 86_400).toFixed(3))],
      ['SQS receives, idle, a second', ...INSTANCES.map((n) => (n / 20).toFixed(1))],
      ['S3 PUT of one deployment', ...INSTANCES.map((n) => count(3 * n + 6))],
      ['S3 GET of one deployment', ...INSTANCES.map((n) => count(deployment(n)['S3 GetObject'] ?? 0))],
      ['replies of one deployment (8 each)', ...INSTANCES.map((n) => count(8 * n))],
      ['s until 30 tag calls a second have tagged all queues', ...INSTANCES.map((n) => count(n / 30))],
      ['s until 100 Subscribe calls a second have subscribed all', ...INSTANCES.map((n) => count(n / 100))],
    ],
  );
  return { calls, bills, rates };
}

/** The page with its tables replaced. @throws when a block is missing. */
export function withTables(page: string): string {
  let text = page;
  for (const [name, block] of Object.entries(scaleTables())) {
    const [begin, end] = [`<!-- scale: ${name} -->`, `<!-- end: ${name} -->`];
    const [before, rest] = text.split(begin);
    const after = rest?.split(end)[1];
    if (before === undefined || after === undefined) throw new Error(`docs/SCALE.md has no block ${name}`);
    text = `${before}${begin}\n${block}\n${end}${after}`;
  }
  return text;
}
