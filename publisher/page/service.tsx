import { service } from './state.ts';
export function ServiceScreen() {
  return <h1>{service.value?.service}</h1>;
}
