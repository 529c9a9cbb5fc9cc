import type { Forgotten } from '../record/deployment-schema.ts';

/** `not waited for: EC2 says that it is terminated`. Pure. */
export function forgottenText({ why, lastSeen }: Forgotten): string {
  const since = lastSeen === undefined ? 'it wrote nothing' : `last heard of at ${lastSeen}`;
  switch (why) {
    case 'terminated':
      return 'not waited for: EC2 says that it is terminated';
    case 'unknown':
      return `not waited for: EC2 does not know it; ${since}`;
    case 'silent':
      return `not waited for: silent; ${since}`;
  }
}
