;; lock *(u64 *)(r3 + 8) += r2
local.get $r3
i32.wrap_i64
local.get $r2
i64.atomic.rmw.add offset=8
drop

;; lock *(u32 *)(r3 + 8) += w2
local.get $r3
i32.wrap_i64
local.get $r2
i32.wrap_i64
i32.atomic.rmw.add offset=8
drop

;; r2 = atomic_fetch_add((u64 *)(r3 + 8), r2)
local.get $r3
i32.wrap_i64
local.get $r2
i64.atomic.rmw.add offset=8
local.set $r2

;; w2 = atomic_fetch_add((u32 *)(r3 + 8), w2)
local.get $r3
i32.wrap_i64
local.get $r2
i32.wrap_i64
i32.atomic.rmw.add offset=8
i64.extend_i32_u
local.set $r2

;; lock *(u64 *)(r3 + 8) |= r2
local.get $r3
i32.wrap_i64
local.get $r2
i64.atomic.rmw.or offset=8
drop

;; lock *(u32 *)(r3 + 8) |= w2
local.get $r3
i32.wrap_i64
local.get $r2
i32.wrap_i64
i32.atomic.rmw.or offset=8
drop

;; r2 = atomic_fetch_or((u64 *)(r3 + 8), r2)
local.get $r3
i32.wrap_i64
local.get $r2
i64.atomic.rmw.or offset=8
local.set $r2

;; w2 = atomic_fetch_or((u32 *)(r3 + 8), w2)
local.get $r3
i32.wrap_i64
local.get $r2
i32.wrap_i64
i32.atomic.rmw.or offset=8
i64.extend_i32_u
local.set $r2

;; lock *(u64 *)(r3 + 8) &= r2
local.get $r3
i32.wrap_i64
local.get $r2
i64.atomic.rmw.and offset=8
drop

;; lock *(u32 *)(r3 + 8) &= w2
local.get $r3
i32.wrap_i64
local.get $r2
i32.wrap_i64
i32.atomic.rmw.and offset=8
drop

;; r2 = atomic_fetch_and((u64 *)(r3 + 8), r2)
local.get $r3
i32.wrap_i64
local.get $r2
i64.atomic.rmw.and offset=8
local.set $r2

;; w2 = atomic_fetch_and((u32 *)(r3 + 8), w2)
local.get $r3
i32.wrap_i64
local.get $r2
i32.wrap_i64
i32.atomic.rmw.and offset=8
i64.extend_i32_u
local.set $r2

;; lock *(u64 *)(r3 + 8) ^= r2
local.get $r3
i32.wrap_i64
local.get $r2
i64.atomic.rmw.xor offset=8
drop

;; lock *(u32 *)(r3 + 8) ^= w2
local.get $r3
i32.wrap_i64
local.get $r2
i32.wrap_i64
i32.atomic.rmw.xor offset=8
drop

;; r2 = atomic_fetch_xor((u64 *)(r3 + 8), r2)
local.get $r3
i32.wrap_i64
local.get $r2
i64.atomic.rmw.xor offset=8
local.set $r2

;; w2 = atomic_fetch_xor((u32 *)(r3 + 8), w2)
local.get $r3
i32.wrap_i64
local.get $r2
i32.wrap_i64
i32.atomic.rmw.xor offset=8
i64.extend_i32_u
local.set $r2

;; r2 = xchg_64(r3 + 8, r2)
local.get $r3
i32.wrap_i64
local.get $r2
i64.atomic.rmw.xchg offset=8
local.set $r2

;; w2 = xchg32_32(r3 + 8, w2)
local.get $r3
i32.wrap_i64
local.get $r2
i32.wrap_i64
i32.atomic.rmw.xchg offset=8
i64.extend_i32_u
local.set $r2

;; r0 = cmpxchg_64(r3 + 8, r0, r2)
local.get $r3
i32.wrap_i64
local.get $r0
local.get $r2
i64.atomic.rmw.cmpxchg offset=8
local.set $r0

;; w0 = cmpxchg32_32(r3 + 8, w0, w2)
local.get $r3
i32.wrap_i64
local.get $r0
i32.wrap_i64
local.get $r2
i32.wrap_i64
i32.atomic.rmw.cmpxchg offset=8
i64.extend_i32_u
local.set $r0

;; r2 = load_acquire((u8 *)(r3 + 8))
local.get $r3
i32.wrap_i64
i64.atomic.load8_u offset=8
local.set $r2

;; store_release((u8 *)(r3 + 8), r2)
local.get $r3
i32.wrap_i64
local.get $r2
i64.atomic.store8 offset=8

;; r2 = load_acquire((u16 *)(r3 + 8))
local.get $r3
i32.wrap_i64
i64.atomic.load16_u offset=8
local.set $r2

;; store_release((u16 *)(r3 + 8), r2)
local.get $r3
i32.wrap_i64
local.get $r2
i64.atomic.store16 offset=8

;; r2 = load_acquire((u32 *)(r3 + 8))
local.get $r3
i32.wrap_i64
i64.atomic.load32_u offset=8
local.set $r2

;; store_release((u32 *)(r3 + 8), r2)
local.get $r3
i32.wrap_i64
local.get $r2
i64.atomic.store32 offset=8

;; r2 = load_acquire((u64 *)(r3 + 8))
local.get $r3
i32.wrap_i64
i64.atomic.load offset=8
local.set $r2

;; store_release((u64 *)(r3 + 8), r2)
local.get $r3
i32.wrap_i64
local.get $r2
i64.atomic.store offset=8
