// The tunnel that a TC program wants for its packet. There are no tunnel interfaces here: who acts on the verdict reads it.
import { SKB_TUNNEL_FLAGS, SKB_TUNNEL_KEY, SKB_TUNNEL_SET, TUNNEL_KEY_BYTES } from "../../memory/layout";
import { EINVAL } from "../../maps/uapi";
import {
  BPF_F_DONT_FRAGMENT, BPF_F_NO_TUNNEL_KEY, BPF_F_SEQ_NUMBER, BPF_F_TUNINFO_IPV6, BPF_F_ZERO_CSUM_TX,
} from "../uapi";

const KNOWN: u64 = BPF_F_TUNINFO_IPV6 | BPF_F_ZERO_CSUM_TX | BPF_F_DONT_FRAGMENT | BPF_F_SEQ_NUMBER | BPF_F_NO_TUNNEL_KEY;
// Fields of struct bpf_tunnel_key, at whose offsets its older forms end too.
const SECOND_REMOTE_WORD: u32 = 8;
const TUNNEL_EXT: u32 = 22;
const TUNNEL_LABEL: u32 = 24;
const LOCAL: u32 = 28;

function isForm(bytes: u32): bool {
  return bytes == TUNNEL_KEY_BYTES || bytes == LOCAL || bytes == TUNNEL_LABEL || bytes == TUNNEL_EXT ||
    bytes == SECOND_REMOTE_WORD;
}

export function bpf_skb_set_tunnel_key(ctx: u64, from: u64, size: u64, flags: u64): i64 {
  const skb = <usize>ctx, key = <usize>from, bytes = <u32>size;
  if (flags & ~KNOWN || !isForm(bytes)) return -EINVAL;
  const label = bytes >= LOCAL ? load<u32>(key, TUNNEL_LABEL) : 0;
  const extra = bytes >= TUNNEL_LABEL ? load<u16>(key, TUNNEL_EXT) : 0;
  if ((label && !(flags & BPF_F_TUNINFO_IPV6)) || extra) return -EINVAL;
  memory.fill(skb + SKB_TUNNEL_KEY, 0, TUNNEL_KEY_BYTES);
  memory.copy(skb + SKB_TUNNEL_KEY, key, <usize>bytes);
  store<u32>(skb, <u32>flags, SKB_TUNNEL_FLAGS);
  store<u32>(skb, 1, SKB_TUNNEL_SET);
  return 0;
}
