import type { MapSpec } from '../maps/map.js';
import type { Btf } from './btf.js';

/** Structs in a map's value that the kernel itself looks after, beside the lock (kernel/bpf/btf.c, field types). */
const SPECIAL_STRUCTS: ReadonlySet<string> = new Set([
  'bpf_spin_lock',
  'bpf_res_spin_lock',
  'bpf_timer',
  'bpf_wq',
  'bpf_task_work',
  'bpf_list_head',
  'bpf_list_node',
  'bpf_rb_root',
  'bpf_rb_node',
  'bpf_refcount',
]);
/** Tags of pointers to kernel objects (`__kptr` and its relatives). */
const POINTER_TAGS: ReadonlySet<string> = new Set([
  'kptr',
  'kptr_untrusted',
  'kptr_ref',
  'percpu_kptr',
  'uptr',
]);
const MAX_DEPTH = 8;
const MAX_FIELDS = 4096;

type SpecialFields = Pick<MapSpec, 'lockOffset' | 'specialFields'>;

/**
 * What the kernel looks after in a value: its `struct bpf_spin_lock`, and other fields by the name of their type.
 * @param typeId the value's type, or a DATASEC
 */
export function specialFields(btf: Btf | undefined, typeId: number | undefined): SpecialFields {
  if (btf === undefined || typeId === undefined) return {};
  const found: { readonly type: string; readonly offset: number }[] = [];
  let visits = 0;
  const walk = (id: number, offset: number, depth: number): void => {
    const type = btf.resolve(id);
    if (depth > MAX_DEPTH) return;
    switch (type.kind) {
      case 'struct':
      case 'union':
        if (SPECIAL_STRUCTS.has(type.name)) {
          found.push({ type: type.name, offset });
          return;
        }
        visits += type.members.length;
        if (visits > MAX_FIELDS) return;
        for (const member of type.members)
          if (member.bitSize === 0) walk(member.type, offset + member.bitOffset / 8, depth + 1);
        return;
      case 'datasec':
        visits += type.vars.length;
        if (visits > MAX_FIELDS) return;
        for (const place of type.vars) walk(place.type, place.offset, depth + 1);
        return;
      case 'var':
        walk(type.type, offset, depth + 1);
        return;
      case 'ptr': {
        const to = btf.type(type.type);
        if (to.kind === 'type-tag' && POINTER_TAGS.has(to.name)) found.push({ type: to.name, offset });
        return;
      }
      default:
    }
  };
  walk(typeId, 0, 0);
  const lock = found.find(({ type }) => type === 'bpf_spin_lock');
  const others = found.filter((field) => field !== lock);
  return {
    ...(lock === undefined ? {} : { lockOffset: lock.offset }),
    ...(others.length === 0 ? {} : { specialFields: others }),
  };
}
