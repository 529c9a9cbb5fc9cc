import { access, constants, readFile, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { controlManager, type Instance, type ServiceYaml } from './fleet.ts';

/** A real third-party application: Selenium's server, one runnable jar a version, from npm. */

const jar = (path: string) => fileURLToPath(new URL(`../../../node_modules/${path}`, import.meta.url));

/** By the version that each reports at `/wd/hub/status`. */
export const SELENIUM_JARS = {
  '3.14.0': jar('selenium-server-3.14/lib/runner/selenium-server-standalone-3.14.0.jar'),
  '3.141.59': jar('selenium-server-3.141/lib/runner/selenium-server-standalone-3.141.59.jar'),
} as const;

/** The full path of `java`, which a config has to name. @throws when there is none, and says where to get one. */
export async function findJava(): Promise<string> {
  for (const directory of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(directory, 'java');
    const found = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return path;
  }
  throw new Error('no java on the PATH: this test runs real jars; apt-get install default-jre-headless');
}

/** `selenium` as agent.yaml has it: `java -jar current/selenium.jar` on the instance's port. */
export function seleniumService(instance: Instance, java: string): ServiceYaml {
  const dir = join(instance.dir, 'selenium');
  const url = `http://127.0.0.1:${instance.port}/wd/hub/status`;
  return {
    package: { type: 'jar', dir },
    manager: {
      ...controlManager(dir, [java, '-jar', 'current/selenium.jar', '-port', String(instance.port)]),
      startTimeout: '20s',
    },
    checks: [{ http: { url, body: '"version": "{version}"', successes: 2, deadline: '60s' } }],
    watch: '1s',
  };
}

/** What Selenium itself says it is, or undefined when it does not answer. */
export async function seleniumVersion(instance: Instance): Promise<string | undefined> {
  try {
    const answer = await fetch(`http://127.0.0.1:${instance.port}/wd/hub/status`, {
      signal: AbortSignal.timeout(2000),
    });
    const { value } = (await answer.json()) as { value: { ready: boolean; build: { version: string } } };
    return value.ready ? value.build.version : undefined;
  } catch {
    return undefined;
  }
}

/** The first half of a jar: its directory, which is at the end, is missing. Returns `path`. */
export async function truncateJar(from: string, path: string): Promise<string> {
  const whole = await readFile(from);
  await writeFile(path, whole.subarray(0, Math.floor(whole.length / 2)));
  return path;
}

/**
 * A jar whose copy lost a block: its directory is zeros, and the record that ends the zip is whole. A push does not see
 * that, and the JVM refuses it. Returns `path`.
 */
export async function holeyJar(from: string, path: string): Promise<string> {
  const bytes = await readFile(from);
  const end = bytes.lastIndexOf('PK\x05\x06', undefined, 'latin1');
  bytes.fill(0, bytes.readUInt32LE(end + 16), end);
  await writeFile(path, bytes);
  return path;
}
