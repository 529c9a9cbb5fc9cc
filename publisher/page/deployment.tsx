import { place } from './router.ts';
import { deployment } from './state.ts';

/** A deployment, live. */
export function DeploymentScreen() {
  const at = place.value;
  if (at?.page !== 'deployment') return null;
  return (
    <h1>
      {at.service} in {at.env}: {deployment.value?.view.record.status ?? ''}
    </h1>
  );
}
