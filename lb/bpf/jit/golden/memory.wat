;; r2 = *(u8 *)(r3 + 4)
local.get $r3
i32.wrap_i64
i64.load8_u offset=4
local.set $r2

;; r2 = *(u8 *)(r3 - 4)
local.get $r3
i32.wrap_i64
i32.const -4
i32.add
i64.load8_u
local.set $r2

;; r2 = *(u16 *)(r3 + 4)
local.get $r3
i32.wrap_i64
i64.load16_u offset=4 align=1
local.set $r2

;; r2 = *(u16 *)(r3 - 4)
local.get $r3
i32.wrap_i64
i32.const -4
i32.add
i64.load16_u align=1
local.set $r2

;; r2 = *(u32 *)(r3 + 4)
local.get $r3
i32.wrap_i64
i64.load32_u offset=4 align=1
local.set $r2

;; r2 = *(u32 *)(r3 - 4)
local.get $r3
i32.wrap_i64
i32.const -4
i32.add
i64.load32_u align=1
local.set $r2

;; r2 = *(u64 *)(r3 + 4)
local.get $r3
i32.wrap_i64
i64.load offset=4 align=1
local.set $r2

;; r2 = *(u64 *)(r3 - 4)
local.get $r3
i32.wrap_i64
i32.const -4
i32.add
i64.load align=1
local.set $r2

;; r2 = *(s8 *)(r3 + 4)
local.get $r3
i32.wrap_i64
i64.load8_s offset=4
local.set $r2

;; r2 = *(s8 *)(r3 - 4)
local.get $r3
i32.wrap_i64
i32.const -4
i32.add
i64.load8_s
local.set $r2

;; r2 = *(s16 *)(r3 + 4)
local.get $r3
i32.wrap_i64
i64.load16_s offset=4 align=1
local.set $r2

;; r2 = *(s16 *)(r3 - 4)
local.get $r3
i32.wrap_i64
i32.const -4
i32.add
i64.load16_s align=1
local.set $r2

;; r2 = *(s32 *)(r3 + 4)
local.get $r3
i32.wrap_i64
i64.load32_s offset=4 align=1
local.set $r2

;; r2 = *(s32 *)(r3 - 4)
local.get $r3
i32.wrap_i64
i32.const -4
i32.add
i64.load32_s align=1
local.set $r2

;; *(u8 *)(r3 + 4) = r2
local.get $r3
i32.wrap_i64
local.get $r2
i64.store8 offset=4

;; *(u8 *)(r3 + 4) = -1
local.get $r3
i32.wrap_i64
i64.const -1
i64.store8 offset=4

;; *(u16 *)(r3 + 4) = r2
local.get $r3
i32.wrap_i64
local.get $r2
i64.store16 offset=4 align=1

;; *(u16 *)(r3 + 4) = -1
local.get $r3
i32.wrap_i64
i64.const -1
i64.store16 offset=4 align=1

;; *(u32 *)(r3 + 4) = r2
local.get $r3
i32.wrap_i64
local.get $r2
i64.store32 offset=4 align=1

;; *(u32 *)(r3 + 4) = -1
local.get $r3
i32.wrap_i64
i64.const -1
i64.store32 offset=4 align=1

;; *(u64 *)(r3 + 4) = r2
local.get $r3
i32.wrap_i64
local.get $r2
i64.store offset=4 align=1

;; *(u64 *)(r3 + 4) = -1
local.get $r3
i32.wrap_i64
i64.const -1
i64.store offset=4 align=1
