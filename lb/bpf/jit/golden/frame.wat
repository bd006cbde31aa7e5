;; *(u64 *)(r10 - 8) = r2
;; r0 = *(u64 *)(r10 - 8)
local.get $r2
local.set $fp-8:8
local.get $fp-8:8
local.set $r0

;; *(u64 *)(r10 - 8) = r2
;; r0 = *(u16 *)(r10 - 6)
local.get $r2
local.set $fp-8:8
local.get $fp-8:8
i64.const 16
i64.shr_u
i64.const 65535
i64.and
local.set $r0

;; *(u64 *)(r10 - 8) = 7
;; r0 = *(u32 *)(r10 - 4)
i64.const 0
local.set $r0

;; *(u32 *)(r10 - 8) = r2

;; r4 = r10
;; r4 += r2
;; *(u8 *)(r4 + 0) = 1
;; r0 = *(u8 *)(r10 - 8)
local.get $r10
local.set $r4
local.get $r4
local.get $r2
i64.add
local.set $r4
local.get $r4
i32.wrap_i64
i64.const 1
i64.store8
local.get $frame
i64.load8_u offset=504
local.set $r0
