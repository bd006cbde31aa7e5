/** What a struct bpf_dynptr on the stack is of, as `Register.place`; the bit marks the first of its two slots. */
export const DYNPTR_KIND = { LOCAL: 1, RING_BUFFER: 2 } as const;
export const FIRST_SLOT = 0x10;

const NAMES: Readonly<Record<number, string>> = { 1: 'local', 2: 'ringbuf' };

/** The kernel's name of a kind. */
export const dynptrName = (place: number): string => NAMES[place & ~FIRST_SLOT] ?? '<invalid>';
export const dynptrKind = (place: number): number => place & ~FIRST_SLOT;
export const isFirstSlot = (place: number): boolean => (place & FIRST_SLOT) !== 0;
