import type { Cloud } from '../../support/cloud/cloud.ts';
import type { Instances } from '../instances.ts';
import type { Filler } from './fill.ts';

/** What the scenarios share. */
export interface World {
  directory: string;
  cloud: Cloud;
  instances: Instances;
  filler: Filler;
  say: (line: string) => void;
}
