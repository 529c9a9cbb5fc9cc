import { describe, expect, it } from 'vitest';
import type { ConfigView } from '../../../../../publisher/console/api.ts';
import { configFor } from '../../../../../publisher/console/config-view.ts';
import { visibleTo } from '../../../../../publisher/console/people/visible.ts';

const dev = visibleTo([{ env: ['dev'], may: ['look'] }]);
const web = visibleTo([{ env: ['prd'], service: ['web'], may: ['look', 'deploy'] }]);

describe('what a person may see', () => {
  it('is everything for whoever may look everywhere: nothing is copied for them', () => {
    expect(visibleTo([{ env: ['dev'], may: ['look'] }, { may: ['look'] }])).toBeUndefined();
    expect(visibleTo([{ may: ['deploy'] }])).toBeDefined();
  });

  it('an environment out of sight is left out of any answer, however deep, and of answers nobody has thought of', () => {
    const answer = {
      at: 1,
      places: [
        { env: 'dev', service: 'web', version: '1' },
        { env: 'prd', service: 'web', version: '2' },
      ],
      trouble: [{ env: 'prd', error: { code: 'X' } }],
      later: { of: { env: 'prd', secret: true }, list: [[{ env: 'prd' }], 'text', null] },
    };
    expect(dev?.(answer)).toEqual({
      at: 1,
      places: [{ env: 'dev', service: 'web', version: '1' }],
      trouble: [],
      later: { list: [[], 'text', null] },
    });
    expect(JSON.stringify(dev?.(answer))).not.toContain('prd');
    expect(dev?.({ env: 'prd', service: 'web' })).toBeUndefined();
  });

  it('with one service in sight, only what concerns it or the environment as a whole', () => {
    const view = {
      service: 'pay',
      lanes: [{ env: 'prd', service: 'pay' }],
      versions: [{ version: '1', places: [{ env: 'prd', state: 'desired' }] }],
    };
    expect(web?.(view)).toEqual({ service: 'pay', lanes: [], versions: [{ version: '1', places: [] }] });
    expect(web?.({ ...view, service: 'web' })).toMatchObject({ versions: [{ places: [{ env: 'prd' }] }] });
    expect(web?.({ runs: [{ env: 'prd', service: 'pay' }, { env: 'prd' }, { env: 'dev' }] })).toEqual({
      runs: [{ env: 'prd' }],
    });
  });

  it('where a version comes from is left out when that is out of sight; the tags of an instance stay', () => {
    const lane = {
      ...{ env: 'dev', service: 'web', promote: { from: 'stg', version: '2' }, promotedFrom: 'stg' },
      ...{ from: '1.4.1', tags: { env: 'x', service: 'y' } },
    };
    expect(dev?.(lane)).toEqual({
      ...{ env: 'dev', service: 'web', from: '1.4.1', tags: { env: 'x', service: 'y' } },
    });
  });

  it('the config of the page has no environment and no service out of sight, not even as a name', () => {
    const env = (name: string, requires?: string) => ({
      ...{ name, canSign: true, services: { web: {}, pay: {} } },
      ...(requires !== undefined && { requires }),
    });
    const view: ConfigView = {
      ...{
        version: '1',
        person: { name: 'a', isVerified: true },
        mode: 'proxy',
        readOnly: false,
        grants: [],
      },
      ...{ links: {}, environments: [env('stg'), env('prd', 'stg')] },
    };
    const grants = [{ env: ['prd'], service: ['web'], may: ['look'] as const }];
    const own = configFor(view, grants);
    expect(own.environments).toEqual([{ name: 'prd', canSign: true, services: { web: {} } }]);
    expect(JSON.stringify(own)).not.toMatch(/stg|pay/);
  });
});
