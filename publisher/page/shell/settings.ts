import { signal } from '@preact/signals';

/** From so many services on the rows are lower, so that 50 fit a screen of 1080 lines. */
export const DENSE_FROM = 30;

const ROOMY = 'trigger-deploy rows';

/** Whether long tables keep rows that are easy to hit (WCAG 2.5.8), instead of rows of which 50 fit a screen. */
export const isRoomy = signal(localStorage.getItem(ROOMY) === 'roomy');

export function setRoomy(on: boolean): void {
  isRoomy.value = on;
  localStorage.setItem(ROOMY, on ? 'roomy' : 'dense');
}
