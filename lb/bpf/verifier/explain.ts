import type { LineSpec } from '../object/spec.js';
import type { VerifyCode } from './refusal.js';

/** What is wrong, and what usually mends it, by rule. */
export const VERIFY_ADVICE: Readonly<Record<VerifyCode, readonly [wrong: string, mend: string]>> = {
  VERIFY_ENCODING: ['this is no valid instruction', 'compile the program for BPF again'],
  VERIFY_ARITHMETIC: [
    'a constant divides by zero or shifts by more bits than there are',
    'correct the constant',
  ],
  VERIFY_JUMP: ['control leaves the program or the function', 'let every path of a function end in return'],
  VERIFY_UNREACHABLE: ['no path leads to this instruction', 'remove it'],
  VERIFY_LOOP: [
    'this loop never ends: a round changes nothing',
    'count in the loop, and leave it at a bound that is a constant',
  ],
  VERIFY_TOO_LARGE: [
    'proving the program takes more than a million instructions',
    'make loops shorter, move their body into a callback of bpf_loop, or split the program by a tail call or a global function',
  ],
  VERIFY_TOO_COMPLEX: [
    'too many branches are open at once',
    'split the program into functions, or make the conditions depend on each other less',
  ],
  VERIFY_MAP_REFERENCE: ['the program names a map that is not there', 'declare the map in SEC(".maps")'],
  VERIFY_TYPES: ['the types that this needs are missing', 'compile with -g, so that the object has BTF'],
  VERIFY_UNINITIALISED: [
    'a register is read that this path has not written',
    'initialise the variable on every path; what was in r1 to r5 is gone after a call',
  ],
  VERIFY_FRAME_POINTER: ['r10, the frame pointer, cannot be written', 'copy it to another register'],
  VERIFY_LEAK: [
    'a kernel address would get out',
    'store a number instead of the pointer, or load the program with CAP_PERFMON',
  ],
  VERIFY_POINTER_ARITHMETIC: [
    'this arithmetic is not possible on a pointer',
    'add to, or subtract from, a pointer only numbers, in 64 bits; compute offsets in integers first',
  ],
  VERIFY_POINTER_OFFSET: [
    'what is added to a pointer is unbounded or too far',
    'bound the number first: if (n > MAX) return …, or n &= MASK',
  ],
  VERIFY_DEREFERENCE: [
    'what is accessed here is no memory',
    'check that the pointer survives: after a helper that may move the packet, load data and data_end again',
  ],
  VERIFY_NULL: [
    'the pointer may be NULL',
    'check it right after the call that gave it: if (!value) return …',
  ],
  VERIFY_NEGATIVE_INDEX: [
    'the offset may be negative',
    'make the index unsigned, or check that it is not below 0',
  ],
  VERIFY_UNBOUNDED: [
    'the offset has no upper bound',
    'check it against the length: if (i >= LENGTH) return …',
  ],
  VERIFY_MAP_BOUNDS: [
    'the access goes beyond the value of the map',
    'check the index against the length of the array in the value, right before the access',
  ],
  VERIFY_PACKET_BOUNDS: [
    'the packet may be shorter than this access needs',
    'compare with its end before the access: if (pointer + size > data_end) return …',
  ],
  VERIFY_MEMORY_BOUNDS: [
    'the access goes beyond the memory',
    'check the index against the size, right before the access',
  ],
  VERIFY_STACK_BOUNDS: [
    'the access leaves the 512 bytes of stack',
    'check the index against the length of the array, or make the array smaller',
  ],
  VERIFY_STACK_UNINITIALISED: [
    'bytes of the stack are read that nobody has written',
    'initialise the variable, padding included: struct key k = {}; or __builtin_memset',
  ],
  VERIFY_STACK_SPILL: [
    'a pointer on the stack is read or written in part',
    'load and store pointers as a whole, eight bytes, aligned',
  ],
  VERIFY_ALIGNMENT: ['the access is not aligned', 'align the field, or access it byte by byte'],
  VERIFY_CONTEXT: [
    'this field of the context cannot be accessed so',
    'access the fields of the context by name, through the pointer that the program was given',
  ],
  VERIFY_READ_ONLY: ['this memory cannot be written, or read', 'look at the flags of the map'],
  VERIFY_ATOMIC: [
    'atomic operations are not possible here',
    'use them on map values and the stack, 4 or 8 bytes, aligned',
  ],
  VERIFY_PACKET_LOAD: [
    'LD_ABS and LD_IND are of programs with a socket buffer',
    'read the packet through data and data_end',
  ],
  VERIFY_HELPER: ['programs of this type have no such helper', 'look in the list of helpers by program type'],
  VERIFY_LICENCE: [
    'the helper is for programs under the GPL',
    'declare the licence: char LICENSE[] SEC("license") = "GPL"',
  ],
  VERIFY_ARGUMENT: [
    'the helper takes something else here',
    "hand it what its prototype asks for; a lookup's result must be checked for NULL first",
  ],
  VERIFY_SIZE: [
    'the length may be negative, zero or unbounded',
    'bound it right before the call: if (n == 0 || n > MAX) return …, with an unsigned n',
  ],
  VERIFY_MAP_TYPE: ['the helper does not work on maps of this type', 'use another helper or map type'],
  VERIFY_STRING: [
    'a constant string is needed, with a valid format',
    'make it static const char …[], so that it stands in .rodata',
  ],
  VERIFY_REFERENCE: [
    'something that was taken is not given back on this path',
    'submit or discard every ring buffer record, and release every socket, before each return',
  ],
  VERIFY_LOCK: [
    'the rules of bpf_spin_lock are broken',
    'take one lock at a time, call nothing while it is held, and unlock on every path',
  ],
  VERIFY_DYNPTR: ['this is no dynptr, or one in use', 'initialise it by a helper, and leave its bytes alone'],
  VERIFY_CALLBACK: ['the callback breaks its contract', 'make it static, and let it return 0 or 1'],
  VERIFY_CALL_DEPTH: [
    'functions call each other more than 8 deep',
    'inline some of them; recursion is not possible',
  ],
  VERIFY_STACK_DEPTH: [
    'the functions of one chain of calls need more than 512 bytes of stack',
    'move large variables into a per-CPU array',
  ],
  VERIFY_TAIL_CALL: ['a tail call is not possible here', 'call it from the main program'],
  VERIFY_RETURN: ['the function returns what it must not', 'return a number'],
};

/**
 * One sentence for a person: where, what is wrong, what usually mends it.
 */
export function explain(code: VerifyCode, slot: number, line: LineSpec | undefined): string {
  const [wrong, mend] = VERIFY_ADVICE[code];
  const where =
    line !== undefined
      ? `${line.file.split('/').at(-1) ?? ''}:${line.line}: `
      : slot >= 0
        ? `instruction ${slot}: `
        : '';
  return `${where}${wrong}; ${mend}`;
}
