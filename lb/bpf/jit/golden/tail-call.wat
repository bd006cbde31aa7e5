;; r3 = 1
;; r2 = map[0]
;; call 12
;; r0 = 1
i64.const 1
local.set $r3
i64.const 1000000
local.set $r2
block $b0
  local.get $r3
  i32.wrap_i64
  local.tee $index
  i32.const 16
  i32.ge_u
  br_if $b0
  global.get $block
  i32.load offset=56 align=1
  local.tee $count
  i32.const 33
  i32.ge_u
  br_if $b0
  i32.const 2000000
  local.get $index
  i32.const 2
  i32.shl
  i32.add
  i32.atomic.load
  local.tee $number
  i32.eqz
  br_if $b0
  block $b1
    local.get $number
    table.size $programs
    i32.ge_u
    br_if $b1
    local.get $number
    table.get $programs
    ref.is_null
    br_if $b1
    local.get $frame
    global.get $block
    i32.const 69120
    i32.add
    i32.lt_u
    br_if $b0
    global.get $block
    local.get $count
    i32.const 1
    i32.add
    i32.store offset=56 align=1
    local.get $r1
    i64.const 0
    local.get $frame
    local.get $number
    return_call_indirect $programs (param i64 i64 i32) (result i64)
  end
  global.get $block
  global.get $block
  i32.load offset=1072 align=1
  i32.const 1
  i32.add
  i32.store offset=1072 align=1
end
i64.const 0
local.set $r0
i64.const 1
local.set $r0

;; r4 = r2
;; r2 = r3
;; r3 = r4
;; call 12
;; r0 = 1
local.get $r2
local.set $r4
local.get $r3
local.set $r2
local.get $r4
local.set $r3
block $b0
  local.get $r3
  i32.wrap_i64
  local.tee $index
  local.get $r2
  i32.wrap_i64
  i32.load offset=12 align=1
  i32.ge_u
  br_if $b0
  global.get $block
  i32.load offset=56 align=1
  local.tee $count
  i32.const 33
  i32.ge_u
  br_if $b0
  local.get $r2
  i32.wrap_i64
  i32.load offset=32 align=1
  local.get $index
  i32.const 2
  i32.shl
  i32.add
  i32.atomic.load
  local.tee $number
  i32.eqz
  br_if $b0
  block $b1
    local.get $number
    table.size $programs
    i32.ge_u
    br_if $b1
    local.get $number
    table.get $programs
    ref.is_null
    br_if $b1
    local.get $frame
    global.get $block
    i32.const 69120
    i32.add
    i32.lt_u
    br_if $b0
    global.get $block
    local.get $count
    i32.const 1
    i32.add
    i32.store offset=56 align=1
    local.get $r1
    i64.const 0
    local.get $frame
    local.get $number
    return_call_indirect $programs (param i64 i64 i32) (result i64)
  end
  global.get $block
  global.get $block
  i32.load offset=1072 align=1
  i32.const 1
  i32.add
  i32.store offset=1072 align=1
end
i64.const 0
local.set $r0
i64.const 1
local.set $r0
