import { startFakeConsole } from './fake-console.ts';

/** Shows the page with canned data: `node test/support/console/look.ts [PORT]`. Restart it after a change. */
const fake = await startFakeConsole({ port: Number(process.argv[2] ?? 7118) });
console.log(fake.address);
