/** Why a test that needs root cannot run here, or undefined when it can. */
export const missingRoot: string | undefined =
  process.platform !== 'linux'
    ? 'needs Linux'
    : process.getuid?.() === 0
      ? undefined
      : 'needs root (network namespaces, AF_PACKET, bpf())';

/** Folder of the conformance and golden data that are not part of this project, or undefined. */
export const corpus: string | undefined = process.env.WAGGLE_CORPUS;

/** What a skipped test's title adds: the capability that is missing, and nothing where none is. */
export const noting = (missing: string | undefined): string => (missing === undefined ? '' : ` (${missing})`);
