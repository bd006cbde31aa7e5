;; r1 = r2
;; r2 = function 7
;; r3 = 0
;; r4 = 0
;; call 181
;; exit
;; f:
;; r0 = 0
local.get $r2
local.set $r1
i64.const 7
local.set $r2
i64.const 0
local.set $r3
i64.const 0
local.set $r4
block $b0 (result i64)
  local.get $r1
  local.set $rounds
  local.get $rounds
  i64.const 8388608
  i64.gt_u
  if $i1
    i64.const -7
    br $b0
  end
  i64.const 0
  local.set $round
  block $b2
    loop $l3
      local.get $round
      local.get $rounds
      i64.ge_u
      br_if $b2
      local.get $round
      local.get $r3
      i64.const 0
      i64.const 0
      i64.const 0
      local.get $frame
      i32.const 512
      i32.sub
      call $function@7
      local.get $round
      i64.const 1
      i64.add
      local.set $round
      i64.eqz
      br_if $l3
    end
  end
  local.get $round
end
local.set $r0

;; r1 = 8
;; r2 = function 7
;; r3 = 0
;; r4 = 0
;; call 181
;; exit
;; f:
;; r0 = 0
i64.const 8
local.set $r1
i64.const 7
local.set $r2
i64.const 0
local.set $r3
i64.const 0
local.set $r4
block $b0 (result i64)
  local.get $r1
  local.set $rounds
  i64.const 0
  local.set $round
  block $b1
    loop $l2
      local.get $round
      local.get $rounds
      i64.ge_u
      br_if $b1
      local.get $round
      local.get $r3
      i64.const 0
      i64.const 0
      i64.const 0
      local.get $frame
      i32.const 512
      i32.sub
      call $function@7
      local.get $round
      i64.const 1
      i64.add
      local.set $round
      i64.eqz
      br_if $l2
    end
  end
  local.get $round
end
local.set $r0

;; r1 = 8
;; r4 = r3
;; r3 = function 8
;; r2 ^= r3
;; r3 = 0
;; call 181
;; exit
;; f:
;; r0 = 0
i64.const 8
local.set $r1
local.get $r3
local.set $r4
i64.const 8
local.set $r3
local.get $r2
local.get $r3
i64.xor
local.set $r2
i64.const 0
local.set $r3
block $b0 (result i64)
  local.get $r4
  i64.const 0
  i64.ne
  if $i1
    i64.const -22
    br $b0
  end
  local.get $r1
  local.set $rounds
  i64.const 0
  local.set $round
  block $b2
    loop $l3
      local.get $round
      local.get $rounds
      i64.ge_u
      br_if $b2
      local.get $round
      local.get $r3
      i64.const 0
      i64.const 0
      i64.const 0
      local.get $frame
      i32.const 512
      i32.sub
      local.get $r2
      i32.wrap_i64
      call $dispatch
      local.get $round
      i64.const 1
      i64.add
      local.set $round
      i64.eqz
      br_if $l3
    end
  end
  local.get $round
end
local.set $r0

;; r1 = map[0]
;; r2 = function 8
;; r3 = 0
;; r4 = 0
;; call 164
;; exit
;; f:
;; r0 = 0
i64.const 1000000
local.set $r1
i64.const 8
local.set $r2
i64.const 0
local.set $r3
i64.const 0
local.set $r4
block $b0 (result i64)
  global.get $block
  i32.const 90112
  i32.add
  global.get $block
  i32.const 89600
  i32.add
  local.get $frame
  i32.sub
  i32.const 3
  i32.shr_u
  i32.add
  local.set $cursor
  local.get $cursor
  i64.const 0
  i64.store align=1
  local.get $cursor
  i64.const 0
  i64.store offset=8 align=1
  local.get $cursor
  i64.const 0
  i64.store offset=16 align=1
  local.get $cursor
  i64.const 0
  i64.store offset=24 align=1
  local.get $cursor
  i64.const 0
  i64.store offset=32 align=1
  local.get $cursor
  i64.const 0
  i64.store offset=40 align=1
  local.get $cursor
  i64.const 0
  i64.store offset=48 align=1
  local.get $cursor
  i64.const 0
  i64.store offset=56 align=1
  i64.const 0
  local.set $seen
  loop $l1
    local.get $r1
    i32.wrap_i64
    local.get $cursor
    call $map_iterate
    local.tee $found
    i32.const 0
    i32.le_s
    if $i2
      local.get $seen
      local.get $found
      i64.extend_i32_u
      i64.extend32_s
      local.get $found
      i32.eqz
      select
      br $b0
    end
    local.get $r1
    local.get $cursor
    i64.load32_u align=1
    local.get $cursor
    i64.load32_u offset=4 align=1
    local.get $r3
    i64.const 0
    local.get $frame
    i32.const 512
    i32.sub
    call $function@8
    local.get $seen
    i64.const 1
    i64.add
    local.set $seen
    i64.eqz
    br_if $l1
  end
  local.get $seen
end
local.set $r0
