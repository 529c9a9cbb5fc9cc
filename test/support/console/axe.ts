import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa'];

interface Violation {
  id: string;
  nodes: readonly { target: unknown; failureSummary?: string }[];
}

/**
 * What axe finds on the page: `color-contrast: .who: …`. It is injected by the browser's debugger, so the page's content
 * security policy stays on.
 * @param within a selector: only what is in there; the whole page when left out.
 */
export async function axe(page: Page, within?: string): Promise<string[]> {
  const client = await page.context().newCDPSession(page);
  try {
    await client.send('Runtime.evaluate', { expression: `${AXE};0` });
    const run = `axe.run(${within === undefined ? 'document' : JSON.stringify(within)}, ${JSON.stringify({ runOnly: TAGS, resultTypes: ['violations'] })})
      .then(({ violations }) => JSON.stringify(violations))`;
    const { result } = await client.send('Runtime.evaluate', {
      expression: run,
      awaitPromise: true,
      returnByValue: true,
    });
    const violations = JSON.parse(result.value as string) as Violation[];
    return violations.flatMap(({ id, nodes }) =>
      nodes.map(({ target, failureSummary }) => `${id}: ${String(target)}: ${failureSummary ?? ''}`),
    );
  } finally {
    await client.detach();
  }
}
