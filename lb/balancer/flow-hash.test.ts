import { describe, expect, it } from 'vitest';
import { slotOf } from '../../test/support/flow-hash.js';
import { parseIp } from '../net/address.js';
import { ringSlotOf } from './flow-hash.js';
import { VIP_FLAGS } from './schema.js';

describe('the slot of a flow', () => {
  const flows = [
    ['198.51.100.7', 1000, 80],
    ['0.0.0.0', 0, 0],
    ['255.255.255.255', 65535, 65535],
    ['2001:db8::7', 40000, 443],
    ['ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', 65535, 1],
    ['::1', 1, 65535],
  ] as const;
  it.each(flows)('%s:%i to port %i is as lookup3 has it', (src, sport, dport) => {
    expect(ringSlotOf({ src: parseIp(src), sport, dport }, 0)).toBe(slotOf(src, sport, dport));
  });

  it.each(flows)(
    '%s:%i to port %i, the destination port alone: that in both places, and no address',
    (src, sport, dport) => {
      const nobody = src.includes(':') ? '::' : '0.0.0.0';
      expect(ringSlotOf({ src: parseIp(src), sport, dport }, VIP_FLAGS.HASH_DPORT_ONLY)).toBe(
        slotOf(nobody, dport, dport),
      );
    },
  );
});
