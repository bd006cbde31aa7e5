;; r2 = -r2
i64.const 0
local.get $r2
i64.sub
local.set $r2

;; w2 = -w2
i32.const 0
local.get $r2
i32.wrap_i64
i32.sub
i64.extend_i32_u
local.set $r2

;; r2 = (s8)r3
local.get $r3
i64.extend8_s
local.set $r2

;; w2 = (s8)w3
local.get $r3
i32.wrap_i64
i32.extend8_s
i64.extend_i32_u
local.set $r2

;; r2 = (s16)r3
local.get $r3
i64.extend16_s
local.set $r2

;; w2 = (s16)w3
local.get $r3
i32.wrap_i64
i32.extend16_s
i64.extend_i32_u
local.set $r2

;; r2 = (s32)r3
local.get $r3
i64.extend32_s
local.set $r2

;; r2 = le16 r2
local.get $r2
i64.const 65535
i64.and
local.set $r2

;; r2 = le32 r2
local.get $r2
i64.const 4294967295
i64.and
local.set $r2

;; r2 = le64 r2

;; r2 = be16 r2
local.get $r2
i32.wrap_i64
local.set $swap
local.get $swap
i32.const 8
i32.shr_u
i32.const 255
i32.and
local.get $swap
i32.const 255
i32.and
i32.const 8
i32.shl
i32.or
i64.extend_i32_u
local.set $r2

;; r2 = be32 r2
local.get $r2
i32.wrap_i64
local.set $swap
local.get $swap
i32.const 8
i32.rotl
i32.const 16711935
i32.and
local.get $swap
i32.const 24
i32.rotl
i32.const -16711936
i32.and
i32.or
i64.extend_i32_u
local.set $r2

;; r2 = be64 r2
local.get $r2
local.set $swap
local.get $swap
i64.const 71777214294589695
i64.and
i64.const 8
i64.rotl
local.get $swap
i64.const 56
i64.rotl
i64.const 71777214294589695
i64.and
i64.or
local.set $swap
local.get $swap
i64.const 281470681808895
i64.and
i64.const 48
i64.rotl
local.get $swap
i64.const 16
i64.rotl
i64.const 281470681808895
i64.and
i64.or
local.set $r2

;; r2 = bswap16 r2
local.get $r2
i32.wrap_i64
local.set $swap
local.get $swap
i32.const 8
i32.shr_u
i32.const 255
i32.and
local.get $swap
i32.const 255
i32.and
i32.const 8
i32.shl
i32.or
i64.extend_i32_u
local.set $r2

;; r2 = bswap32 r2
local.get $r2
i32.wrap_i64
local.set $swap
local.get $swap
i32.const 8
i32.rotl
i32.const 16711935
i32.and
local.get $swap
i32.const 24
i32.rotl
i32.const -16711936
i32.and
i32.or
i64.extend_i32_u
local.set $r2

;; r2 = bswap64 r2
local.get $r2
local.set $swap
local.get $swap
i64.const 71777214294589695
i64.and
i64.const 8
i64.rotl
local.get $swap
i64.const 56
i64.rotl
i64.const 71777214294589695
i64.and
i64.or
local.set $swap
local.get $swap
i64.const 281470681808895
i64.and
i64.const 48
i64.rotl
local.get $swap
i64.const 16
i64.rotl
i64.const 281470681808895
i64.and
i64.or
local.set $r2
