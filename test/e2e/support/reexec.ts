import { expect } from 'vitest';
import { type RecordWatch, watchRecord } from '../../fault/support/publisher/record-watch.ts';
import type { Finished } from '../../support/programs.ts';
import { type Host, openSite, type Site } from './site.ts';

/**
 * One instance whose systemd executes itself anew every 0.3 s while a version is deployed, as the maintainer scripts of
 * libc6 and of systemd make it do once. It cuts every connection each time.
 */

const EVERY_S = '0.3';
/** A byte for each time. */
const REEXECS = '/run/reexecs';
/** While it exists they do not go on. */
const ENOUGH = '/run/reexecs-enough';
const REEXEC = 'reexec.service';

export interface ReexecWorld {
  site: Site;
  watch: RecordWatch;
  host: Host;
  push(service: string, version: string, file: string): Promise<void>;
  /** Deploys while systemd executes itself anew again and again. Returns how often it did. */
  deployMeanwhile(...args: string[]): Promise<{ result: Finished; times: number }>;
  /** Nothing of the agent and no service of it is left as a failed unit. */
  expectNoFailedUnits(): Promise<void>;
}

/** The instance is booted, and has no config yet. */
export async function openReexecWorld(): Promise<ReexecWorld> {
  const site = await openSite();
  const host = await site.host('i-0a1');
  await host.boot();
  await host.write(
    `/etc/systemd/system/${REEXEC}`,
    `[Service]\nExecStart=/bin/sh -c 'while [ ! -e ${ENOUGH} ]; do systemctl daemon-reexec; echo >>${REEXECS}; sleep ${EVERY_S}; done'\n`,
  );
  await host.ok(['systemctl', 'daemon-reload']);

  /** The last one may still cut a call of the test. */
  const eventually = (argv: string[]) =>
    expect.poll(() => host.run(argv), { interval: 200 }).toMatchObject({ exitCode: 0 });

  return {
    site,
    watch: watchRecord(site.fleet.cloud),
    host,

    async push(service, version, file) {
      const pushed = await site.fleet.publisher('push', service, version, file);
      expect(pushed, pushed.stderr).toMatchObject({ code: 0 });
    },

    async deployMeanwhile(...args) {
      await host.run(['rm', '-f', REEXECS, ENOUGH]);
      await eventually(['systemctl', 'start', '--no-block', REEXEC]);
      const result = await site.fleet.publisher(...args, '--env', 'dev');
      // By a file: on a loaded machine each call to systemd may be cut, for as long as they go on.
      await host.ok(['touch', ENOUGH]);
      await eventually(['systemctl', 'stop', REEXEC]);
      return { result, times: ((await host.read(REEXECS)) ?? '').length };
    },

    async expectNoFailedUnits() {
      const failed = await host.ok(['systemctl', 'list-units', '--failed', '--plain', '--no-legend']);
      expect(failed).not.toMatch(/trigger-deploy|payments|lighttpd/);
    },
  };
}

export const said = ({ stdout, stderr }: Finished) => `${stdout}${stderr}`;
