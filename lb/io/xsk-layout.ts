// The state of one AF_XDP queue in the arena: where its rings are, and what is going on with them. Read by TypeScript
// and, unchanged, by the pump: plain integer constants only, no import, no type annotation.

// A ring, as the kernel maps it: XSK_FILL, XSK_COMPLETION, XSK_RX or XSK_TX plus one of these. u32 each: arena offsets of
// the words that its two sides count in, of its first entry, and of its flags.
export const RING_PRODUCER = 0;
export const RING_CONSUMER = 4;
export const RING_ENTRIES = 8;
export const RING_FLAGS = 12;

export const XSK_FILL = 0;
export const XSK_COMPLETION = 16;
export const XSK_RX = 32;
export const XSK_TX = 48;
/** u32: entries of each ring less one. Each ring has room for all frames, so that no step fails for want of it. */
export const XSK_MASK = 64;
/** u32: arena offset of the first frame; addresses in the rings count from here. */
export const XSK_FRAMES = 68;
/** u32: bytes of a frame, a power of two. */
export const XSK_FRAME_BYTES = 72;
/** u32: longest frame that the interface sends, VLAN tag not included. */
export const XSK_MAX_BYTES = 76;
/** u32: number of the interface's receive queue. */
export const XSK_QUEUE = 80;
/** u32: 1 where the kernel copies frames into the UMEM, as it does for a driver without zero-copy. */
export const XSK_IS_COPIED = 84;

// The worker's own words. What a batch does to the rings is written down before any of it is done (XSK_COMMIT): a new
// thread finishes what one that died had written down, and takes back what it had not.
/** u32: frames that the batch in hand took from the receive ring. */
export const XSK_TAKEN = 128;
/** u32: 1 while the four words that follow are being put into the rings. */
export const XSK_COMMIT = 132;
export const XSK_NEXT_RX_CONSUMER = 136;
export const XSK_NEXT_FILL_PRODUCER = 140;
export const XSK_NEXT_TX_PRODUCER = 144;
export const XSK_NEXT_COMPLETION_CONSUMER = 148;
/** u32: position in the transmit ring up to which frames are counted as sent. */
export const XSK_TX_COUNTED = 152;
/** u64: frames that the kernel says it dropped, as far as they are counted. */
export const XSK_DROPS_COUNTED = 160;
export const XSK_STATE_BYTES = 192;

/** struct xdp_desc: u64 address, u32 length, u32 options. Entries of the fill and completion rings are u64 addresses. */
export const DESC_LENGTH = 8;
export const DESC_OPTIONS = 12;
export const DESC_BYTES = 16;
export const ADDRESS_BYTES = 8;
/** Flag of the fill and transmit rings: the kernel waits to be called. */
export const RING_NEED_WAKEUP = 1;
