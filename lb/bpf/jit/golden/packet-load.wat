;; r0 = *(u8 *)skb[12]
i64.const 12
local.get $r6
i32.wrap_i64
i64.load32_u offset=76 align=1
i64.add
local.tee $at
i64.const 1
i64.add
local.get $r6
i32.wrap_i64
i64.load32_u offset=80 align=1
i64.gt_u
if $i0
  i64.const 0
  local.set $r0
  local.get $r0
  return
end
local.get $at
i32.wrap_i64
i64.load8_u
local.set $r0

;; r0 = *(u16 *)skb[12]
i64.const 12
local.get $r6
i32.wrap_i64
i64.load32_u offset=76 align=1
i64.add
local.tee $at
i64.const 2
i64.add
local.get $r6
i32.wrap_i64
i64.load32_u offset=80 align=1
i64.gt_u
if $i0
  i64.const 0
  local.set $r0
  local.get $r0
  return
end
local.get $at
i32.wrap_i64
i64.load16_u align=1
local.set $r0
local.get $r0
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
local.set $r0

;; r0 = *(u32 *)skb[12]
i64.const 12
local.get $r6
i32.wrap_i64
i64.load32_u offset=76 align=1
i64.add
local.tee $at
i64.const 4
i64.add
local.get $r6
i32.wrap_i64
i64.load32_u offset=80 align=1
i64.gt_u
if $i0
  i64.const 0
  local.set $r0
  local.get $r0
  return
end
local.get $at
i32.wrap_i64
i64.load32_u align=1
local.set $r0
local.get $r0
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
local.set $r0

;; r0 = *(u8 *)skb[-1]
i64.const 1048589
local.get $r6
i32.wrap_i64
i64.load32_u offset=76 align=1
i64.add
local.tee $at
i64.const 1
i64.add
local.get $r6
i32.wrap_i64
i64.load32_u offset=80 align=1
i64.gt_u
if $i0
  i64.const 0
  local.set $r0
  local.get $r0
  return
end
local.get $at
i32.wrap_i64
i64.load8_u
local.set $r0

;; r0 = *(u8 *)skb[r2 + 12]
local.get $r2
i32.wrap_i64
i32.const 12
i32.add
i64.extend_i32_u
i64.extend32_s
local.tee $at
i64.const 0
i64.const 1048590
i64.const 2097152
i64.const 1099511627776
local.get $at
i64.const -2097152
i64.ge_s
select
local.get $at
i64.const -1048576
i64.ge_s
select
local.get $at
i64.const 0
i64.ge_s
select
i64.add
local.get $r6
i32.wrap_i64
i64.load32_u offset=76 align=1
i64.add
local.tee $at
i64.const 1
i64.add
local.get $r6
i32.wrap_i64
i64.load32_u offset=80 align=1
i64.gt_u
if $i0
  i64.const 0
  local.set $r0
  local.get $r0
  return
end
local.get $at
i32.wrap_i64
i64.load8_u
local.set $r0

;; r0 = *(u16 *)skb[r2 + 12]
local.get $r2
i32.wrap_i64
i32.const 12
i32.add
i64.extend_i32_u
i64.extend32_s
local.tee $at
i64.const 0
i64.const 1048590
i64.const 2097152
i64.const 1099511627776
local.get $at
i64.const -2097152
i64.ge_s
select
local.get $at
i64.const -1048576
i64.ge_s
select
local.get $at
i64.const 0
i64.ge_s
select
i64.add
local.get $r6
i32.wrap_i64
i64.load32_u offset=76 align=1
i64.add
local.tee $at
i64.const 2
i64.add
local.get $r6
i32.wrap_i64
i64.load32_u offset=80 align=1
i64.gt_u
if $i0
  i64.const 0
  local.set $r0
  local.get $r0
  return
end
local.get $at
i32.wrap_i64
i64.load16_u align=1
local.set $r0
local.get $r0
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
local.set $r0

;; r0 = *(u32 *)skb[r2 + 12]
local.get $r2
i32.wrap_i64
i32.const 12
i32.add
i64.extend_i32_u
i64.extend32_s
local.tee $at
i64.const 0
i64.const 1048590
i64.const 2097152
i64.const 1099511627776
local.get $at
i64.const -2097152
i64.ge_s
select
local.get $at
i64.const -1048576
i64.ge_s
select
local.get $at
i64.const 0
i64.ge_s
select
i64.add
local.get $r6
i32.wrap_i64
i64.load32_u offset=76 align=1
i64.add
local.tee $at
i64.const 4
i64.add
local.get $r6
i32.wrap_i64
i64.load32_u offset=80 align=1
i64.gt_u
if $i0
  i64.const 0
  local.set $r0
  local.get $r0
  return
end
local.get $at
i32.wrap_i64
i64.load32_u align=1
local.set $r0
local.get $r0
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
local.set $r0
