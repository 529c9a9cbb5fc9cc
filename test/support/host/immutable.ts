import { promises } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { onTestFinished } from 'vitest';

/**
 * Until the end of the test, nothing whose name contains `immutable` can be removed or renamed, as after `chattr +i`.
 * The file system itself is not changed: `chattr` needs root and a kernel that supports it.
 */
export function immutableFiles(): void {
  const real = { rm: promises.rm, unlink: promises.unlink, rmdir: promises.rmdir, rename: promises.rename };
  const guarded = (call: (...args: never[]) => Promise<void>) =>
    async function guard(...args: unknown[]) {
      const name = String(args[0]).split('/').at(-1) ?? '';
      if (!name.includes('immutable')) return await call(...(args as never[]));
      throw Object.assign(new Error(`EPERM: operation not permitted, '${args[0]}'`), { code: 'EPERM' });
    };
  for (const [name, call] of Object.entries(real)) Object.assign(promises, { [name]: guarded(call) });
  syncBuiltinESMExports();
  onTestFinished(() => {
    Object.assign(promises, real);
    syncBuiltinESMExports();
  });
}
