import type { CDPSession, Page } from 'playwright-core';

/** What a page costs its main thread: CPU, which other programs of the machine do not change as they change the time. */

export interface Cost {
  /** CPU of the main thread, ms. */
  cpuMs: number;
  layouts: number;
  styles: number;
}

/** Counts from when it is called until `since` is called; a new document of the page starts from 0. */
export async function countCost(page: Page): Promise<{ client: CDPSession; since(): Promise<Cost> }> {
  const client = await page.context().newCDPSession(page);
  await client.send('Performance.enable', { timeDomain: 'threadTicks' });
  const read = async () => {
    const { metrics } = await client.send('Performance.getMetrics');
    const of = (name: string) => metrics.find((one) => one.name === name)?.value ?? 0;
    return { cpuMs: 1000 * of('TaskDuration'), layouts: of('LayoutCount'), styles: of('RecalcStyleCount') };
  };
  const before = await read();
  return {
    client,
    async since() {
      const now = await read();
      return {
        cpuMs: now.cpuMs - before.cpuMs,
        layouts: now.layouts - before.layouts,
        styles: now.styles - before.styles,
      };
    },
  };
}
