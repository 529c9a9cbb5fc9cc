import { cells } from './state.ts';
export function OverviewScreen() {
  return <h1>{cells.value?.size}</h1>;
}
