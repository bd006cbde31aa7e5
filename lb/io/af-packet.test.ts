import { describe, expect, it } from 'vitest';
import { ringShape, ringsBytes } from './af-packet.js';

const PAGE_BYTES = 4096;
/** tpacket2_hdr, sockaddr_ll, alignment. */
const HEADER_BYTES = 80;

describe('the shape of a ring', () => {
  it.each([
    [68, 2048],
    [1500, 2048],
    [1600, 2048],
    // 80 + 128 + 18 + 1822 = 2048
    [1822, 2048],
    [1823, 4096],
    [9000, 16384],
    [65535, 131072],
  ])('for an MTU of %i has frames of %i bytes', (mtu, frameBytes) => {
    expect(ringShape(mtu).frameBytes).toBe(frameBytes);
  });

  it.each([68, 1500, 4000, 9000, 65535])(
    'for an MTU of %i is one that the kernel takes (packet_mmap)',
    (mtu) => {
      const { frames, frameBytes, blockBytes, headroomBytes } = ringShape(mtu);
      expect(blockBytes % PAGE_BYTES).toBe(0);
      expect(blockBytes % frameBytes).toBe(0);
      expect((frames * frameBytes) % blockBytes).toBe(0);
      // A tagged frame of the MTU fits behind the room for an outer header.
      expect(frameBytes).toBeGreaterThanOrEqual(HEADER_BYTES + headroomBytes + 18 + mtu);
      // IPv6 header and VLAN tag.
      expect(headroomBytes).toBeGreaterThanOrEqual(40 + 4);
      expect(ringsBytes(mtu, 3)).toBe(3 * frames * frameBytes);
    },
  );
});
