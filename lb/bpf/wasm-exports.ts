/**
 * The exports of an instance as the type that its source has: modules that are built from this project's own AssemblyScript,
 * or by its own compiler. The one place where the two meet.
 */
export function exportsOf<E>({ exports }: WebAssembly.Instance): E {
  return exports as unknown as E;
}
