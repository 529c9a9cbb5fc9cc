import { computed } from '@preact/signals';
import type { Lane as LaneView } from '../../console/api.ts';
import { ConfigLink } from '../parts/config-link.tsx';
import { Foreign } from '../parts/foreign.tsx';
import { place } from '../shell/router.ts';
import { config, environments, service } from '../shell/state.ts';
import { Instances } from './instances.tsx';
import { Lane } from './lane.tsx';
import { Versions } from './versions.tsx';

/** The lanes in the order of the environments: a version goes through them from left to right. */
const lanes = computed<readonly LaneView[]>(() => {
  const known = service.value?.lanes ?? [];
  const ordered = environments.value.flatMap(({ name }) => known.find(({ env }) => env === name) ?? []);
  return [...ordered, ...known.filter((lane) => !ordered.includes(lane))];
});

/** A service in all its environments. */
export function ServiceScreen() {
  const at = place.value;
  if (at?.page !== 'service') return null;
  const shown = service.value;
  return (
    <>
      <div class="title">
        <h1>
          <Foreign text={at.service} />
        </h1>
        <Links service={at.service} />
      </div>
      {shown === undefined ? (
        <p class="empty">reading …</p>
      ) : lanes.value.length === 0 ? (
        <p class="empty">Nothing of this service was ever deployed.</p>
      ) : (
        <>
          <div class="lanes">
            {lanes.value.map((lane) => (
              <Lane key={lane.env} lane={lane} />
            ))}
          </div>
          <Versions versions={shown.versions} service={shown.service} />
          <Instances lanes={lanes.value} />
        </>
      )}
    </>
  );
}

/** The links of the config that need no environment. */
function Links({ service }: { service: string }) {
  const { logs, builds } = config.value?.links ?? {};
  return (
    <span class="links">
      <ConfigLink template={logs} values={{ service }} label="logs" />
      <ConfigLink template={builds} values={{ service }} label="builds" />
      <a href={`/h?${new URLSearchParams({ service })}`}>history</a>
    </span>
  );
}
