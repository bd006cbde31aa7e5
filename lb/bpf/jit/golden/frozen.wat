;; r4 = map[5] value + 0
;; r0 = *(u32 *)(r4 + 0)
i64.const 2327680
local.set $r4
i64.const 33023
local.set $r0

;; r4 = map[5] value + 0
;; r0 = *(s8 *)(r4 + 1)
i64.const 2327680
local.set $r4
i64.const -128
local.set $r0

;; r4 = map[5] value + 2
;; r4 = *(u8 *)(r4 + 0)
;; r0 = 1
;; if r4 == 0 goto +1
;; call 7
i64.const 2327682
local.set $r4
i64.const 0
local.set $r4
i64.const 1
local.set $r0
