import type { Environment } from './environment.js';
import type { VerifierMap } from './input.js';
import { Refusal, refuse } from './refusal.js';
import { type Register, UNKNOWN } from './register.js';
import type { Reference, State } from './state.js';

/** Take something that must be given back. @returns its id */
export function acquire(env: Environment): number {
  const id = env.newId();
  const { state } = env;
  state.references = [...state.references, { kind: 'record', id, slot: env.slot, map: undefined }];
  return id;
}

/** Forget a reference without looking at who points to it. */
export function releaseById(state: State, id: number): boolean {
  const left = state.references.filter((each) => each.kind !== 'record' || each.id !== id);
  const found = left.length < state.references.length;
  state.references = left;
  return found;
}

/** Give a reference back: nothing may point to it any more. @returns false where it is not held */
export function release(env: Environment, id: number): boolean {
  const { state } = env;
  if (!releaseById(state, id)) return false;
  state.changeAll((register) => (register.reference === id ? UNKNOWN : register));
  return true;
}

/**
 * That nothing is held where the program ends, or may end.
 * @param what the kernel's name of the place: 'tail_call'
 * @throws Refusal
 */
export function checkNothingHeld(env: Environment, what: string, locksToo: boolean): void {
  const { state } = env;
  // What a function leaves, its caller may give back.
  const held = state.frames.length > 1 ? [] : state.references.filter(({ kind }) => kind === 'record');
  if (held.length > 0) {
    throw new Refusal('VERIFY_REFERENCE', 'EINVAL', [
      ...held.map(({ id, slot }) => `Unreleased reference id=${id} alloc_insn=${slot}`),
      `${what} would lead to reference leak`,
    ]);
  }
  if (locksToo && state.locks > 0)
    refuse('VERIFY_LOCK', 'EINVAL', `${what} cannot be used inside bpf_spin_lock-ed region`);
}

/** bpf_spin_lock and bpf_spin_unlock on a map's value. @throws Refusal */
export function followLock(env: Environment, register: Register, number: number, isLock: boolean): void {
  const { state } = env;
  const reject = (line: string) => refuse('VERIFY_LOCK', 'EINVAL', line, number);
  const map = register.map!;
  if (!register.isConst()) {
    reject(`R${number} doesn't have constant offset. bpf_spin_lock has to be at the constant offset`);
  }
  if (map.hasTypes !== true && map.lockOffset === undefined)
    reject(`map '${map.name}' has to have BTF in order to use bpf_spin_lock`);
  if (map.lockOffset === undefined) {
    reject(`map '${map.name}' has no valid bpf_spin_lock`);
    return;
  }
  const at = register.off + register.constNumber();
  if (at !== map.lockOffset)
    reject(`off ${at} doesn't point to 'struct bpf_spin_lock' that is at ${map.lockOffset}`);
  if (isLock) {
    if (state.locks > 0) reject('Locking two bpf_spin_locks are not allowed');
    addLock(env, register.id, map);
    return;
  }
  if (state.locks === 0) reject('bpf_spin_unlock without taking a lock');
  const found = state.references.findIndex((each) => isLockOf(each, register.id, map));
  if (found < 0) reject('bpf_spin_unlock of different lock');
  state.references = state.references.toSpliced(found, 1);
  state.locks -= 1;
}

function addLock({ state, slot }: Environment, id: number, map: VerifierMap): void {
  state.references = [...state.references, { kind: 'lock', id, slot, map }];
  state.locks += 1;
}

const isLockOf = (each: Reference, id: number, map: VerifierMap) =>
  each.kind === 'lock' && each.id === id && each.map === map;
