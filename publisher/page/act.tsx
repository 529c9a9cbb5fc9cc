/** The dialog that the address asks for: `?act=deploy&env=prd&service=payments`. Nothing without one. */
export function Act() {
  return null;
}
