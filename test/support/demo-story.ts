import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { styleText } from 'node:util';
import { askVersion, startAsking, tallyText } from './demo-client.ts';
import { ENV, type Fleet } from './fleet.ts';
import { AGENT, PUBLISHER } from './programs.ts';
import { type Behaviour, packSampleService } from './sample-service/package.ts';

/** What the demo shows, step by step, and what it makes sure of while it does. */

const INSTANCES = ['i-0a1b2c3d', 'i-0d3e4f5a', 'i-0990aabb'];
/** No command of the demo takes a fifth of this. */
const COMMAND_WITHIN_MS = 60_000;

export class DemoFailure extends Error {}

export interface Stage {
  fleet: Fleet;
  /** Aborts when nobody watches any more. */
  signal: AbortSignal;
}

const say = (text: string) => console.log(text);
const heading = (text: string) => console.log(`\n${styleText('bold', text)}\n`);

export async function tellStory(stage: Stage): Promise<void> {
  const { fleet } = stage;
  say('trigger-deploy: one message out; every instance fetches, switches, restarts, checks and answers.');
  say(`This demo needs no root, no Java and no AWS account. All of it lies in ${fleet.dir}.`);
  await startInstances(stage);

  heading('1. A first version');
  await push(stage, '1.0.0');
  await deploy(stage, '1.0.0', 0);
  await expectVersion(stage, '1.0.0');

  heading('2. The next one, while a client keeps asking every instance which version it is');
  await push(stage, '1.1.0');
  const client = startAsking(fleet.instances);
  const tally = await deploy(stage, '1.1.0', 0).finally(client.stop);
  say(`\nThe client: ${tallyText(await client.stop())}.`);
  void tally;
  say('Nothing takes traffic away from an instance in this demo, so the gap of its restart is seen.');
  await expectVersion(stage, '1.1.0');

  heading('3. A bad one: 1.2.0 starts, but answers 500 on /health');
  await push(stage, '1.2.0', { healthStatus: 500 });
  await deploy(stage, '1.2.0', 1);
  await expectVersion(stage, '1.1.0');
  say('\nExit code 1, and every instance answers as 1.1.0 again.');

  heading('4. What runs, and what happened');
  await type(stage, ['status', '--env', ENV], 0);
  say('');
  await type(stage, ['history', 'payments', '--env', ENV], 0);
  await tellSeconds(stage);
}
