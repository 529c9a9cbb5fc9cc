import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { PACKAGE_TYPES } from '../../../shared/package-types.ts';

test('the types of package are those of the agent’s config', () => {
  const config = readFileSync('agent/config.ts', 'utf8');
  const [, schema = ''] = config.split("const packageConfig = z.discriminatedUnion('type', [");
  const types = [...(schema.split(']);')[0] ?? '').matchAll(/type: z\.literal\('(\w+)'\)/g)].map(
    ([, type]) => type,
  );
  expect(types).toEqual(Object.keys(PACKAGE_TYPES));
});
