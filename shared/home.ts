import { homedir, userInfo } from 'node:os';

/**
 * Sets HOME where a process has no home directory: in a container a user id may have no name and no HOME. It becomes `/`,
 * as container runtimes set it, so that neither this program nor the AWS SDK fails at the question.
 */
export function ensureHome(): void {
  try {
    homedir();
  } catch {
    process.env.HOME = '/';
  }
}

/** The name of the user; without a name `USER` or, without that, the uid. */
export function userName(variables: Readonly<Record<string, string | undefined>>): string {
  try {
    return userInfo().username;
  } catch {
    return variables.USER || `uid ${process.getuid?.() ?? '?'}`;
  }
}
