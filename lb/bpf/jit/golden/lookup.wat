;; *(u32 *)(r10 - 4) = 3
;; r2 = r10
;; r2 += -4
;; r1 = map[0]
;; call 1
local.get $r10
local.set $r2
local.get $r2
i64.const -4
i64.add
local.set $r2
i64.const 1000000
local.set $r1
i32.const 2000024
i64.extend_i32_u
local.set $r0

;; *(u32 *)(r10 - 4) = r2
;; r2 = r10
;; r2 += -4
;; r1 = map[0]
;; call 1
local.get $r2
local.set $fp-4:4
local.get $r10
local.set $r2
local.get $r2
i64.const -4
i64.add
local.set $r2
i64.const 1000000
local.set $r1
local.get $fp-4:4
i32.wrap_i64
i64.extend_i32_u
i32.wrap_i64
local.set $index
local.get $index
i32.const 3
i32.shl
i32.const 2000000
i32.add
i32.const 0
local.get $index
i32.const 16
i32.lt_u
select
i64.extend_i32_u
local.set $r0

;; *(u32 *)(r10 - 4) = r2
;; r2 = r10
;; r2 += -4
;; r1 = map[1]
;; call 1
local.get $r2
local.set $fp-4:4
local.get $r10
local.set $r2
local.get $r2
i64.const -4
i64.add
local.set $r2
i64.const 1000128
local.set $r1
local.get $fp-4:4
i32.wrap_i64
i64.extend_i32_u
i32.wrap_i64
local.set $index
local.get $index
i32.const 24
i32.mul
i32.const 2065536
i32.add
global.get $cpu
i32.const 128
i32.mul
i32.add
i32.const 0
local.get $index
i32.const 16
i32.lt_u
select
i64.extend_i32_u
local.set $r0

;; *(u32 *)(r10 - 4) = r2
;; r2 = r10
;; r2 += -4
;; r1 = map[2]
;; call 1
local.get $r2
local.set $fp-4:4
local.get $r10
local.set $r2
local.get $r2
i64.const -4
i64.add
local.set $r2
i64.const 1000256
local.set $r1
i32.const 1000336
i32.load align=1
local.set $seed
local.get $fp-4:4
i32.wrap_i64
i64.extend_i32_u
local.set $word-0
local.get $word-0
i64.const 4294967295
i64.and
local.get $seed
i64.load align=1
i64.add
local.get $word-0
i64.const 32
i64.shr_u
local.get $seed
i64.load offset=8 align=1
i64.add
i64.mul
i64.const 32
i64.shr_u
i32.wrap_i64
local.tee $hash
i32.const 1000308
i32.load align=1
i32.and
i32.const 8
i32.mul
i32.const 1000304
i32.load align=1
i32.add
local.set $bucket
block $b0 (result i64)
  block $b1
    local.get $bucket
    i32.load align=1
    local.tee $element
    i32.eqz
    if $i2
      i64.const 0
      br $b0
    end
    local.get $element
    i32.load align=1
    local.get $hash
    i32.eq
    if $i3
      local.get $element
      i64.load32_u offset=16 align=1
      local.get $word-0
      i64.xor
      i64.eqz
      br_if $b1
    end
    loop $l4
      local.get $bucket
      i64.atomic.load
      local.tee $start
      i32.wrap_i64
      local.set $element
      loop $l5
        local.get $element
        if $i6
          local.get $element
          i32.load align=1
          local.get $hash
          i32.eq
          if $i7
            local.get $element
            i64.load32_u offset=16 align=1
            local.get $word-0
            i64.xor
            i64.eqz
            br_if $b1
          end
          local.get $element
          i32.atomic.load offset=8
          local.set $element
          br $l5
        end
      end
      local.get $bucket
      i32.atomic.load offset=4
      local.get $start
      i64.const 32
      i64.shr_u
      i32.wrap_i64
      i32.xor
      i32.const 8
      i32.shr_u
      br_if $l4
    end
    i64.const 0
    br $b0
  end
  local.get $element
  i32.const 1000324
  i32.load align=1
  i32.add
  i64.extend_i32_u
end
local.set $r0

;; r1 = map[3]
;; call 1
i64.const 1000384
local.set $r1
i32.const 1000464
i32.load align=1
local.set $seed
local.get $r2
i32.wrap_i64
i64.load align=1
local.set $word-0
local.get $word-0
i64.const 4294967295
i64.and
local.get $seed
i64.load align=1
i64.add
local.get $word-0
i64.const 32
i64.shr_u
local.get $seed
i64.load offset=8 align=1
i64.add
i64.mul
local.get $r2
i32.wrap_i64
i64.load32_u offset=8 align=1
local.set $word-1
local.get $word-1
i64.const 4294967295
i64.and
local.get $seed
i64.load offset=16 align=1
i64.add
local.get $word-1
i64.const 32
i64.shr_u
local.get $seed
i64.load offset=24 align=1
i64.add
i64.mul
i64.add
i64.const 32
i64.shr_u
i32.wrap_i64
local.tee $hash
i32.const 1000436
i32.load align=1
i32.and
i32.const 8
i32.mul
i32.const 1000432
i32.load align=1
i32.add
local.set $bucket
block $b0 (result i64)
  block $b1
    local.get $bucket
    i32.load align=1
    local.tee $element
    i32.eqz
    if $i2
      i64.const 0
      br $b0
    end
    local.get $element
    i32.load align=1
    local.get $hash
    i32.eq
    if $i3
      local.get $element
      i64.load offset=16 align=1
      local.get $word-0
      i64.xor
      local.get $element
      i64.load32_u offset=24 align=1
      local.get $word-1
      i64.xor
      i64.or
      i64.eqz
      br_if $b1
    end
    loop $l4
      local.get $bucket
      i64.atomic.load
      local.tee $start
      i32.wrap_i64
      local.set $element
      loop $l5
        local.get $element
        if $i6
          local.get $element
          i32.load align=1
          local.get $hash
          i32.eq
          if $i7
            local.get $element
            i64.load offset=16 align=1
            local.get $word-0
            i64.xor
            local.get $element
            i64.load32_u offset=24 align=1
            local.get $word-1
            i64.xor
            i64.or
            i64.eqz
            br_if $b1
          end
          local.get $element
          i32.atomic.load offset=8
          local.set $element
          br $l5
        end
      end
      local.get $bucket
      i32.atomic.load offset=4
      local.get $start
      i64.const 32
      i64.shr_u
      i32.wrap_i64
      i32.xor
      i32.const 8
      i32.shr_u
      br_if $l4
    end
    i64.const 0
    br $b0
  end
  local.get $element
  i32.load8_u offset=4
  i32.eqz
  if $i8
    local.get $element
    i32.const 1
    i32.store8 offset=4
  end
  local.get $element
  i32.const 1000452
  i32.load align=1
  i32.add
  i64.extend_i32_u
end
local.set $r0

;; *(u32 *)(r10 - 4) = r2
;; r2 = r10
;; r2 += -4
;; r1 = map[4]
;; call 1
;; *(u32 *)(r10 - 4) = 1
;; r2 = r10
;; r2 += -4
;; r1 = r0
;; call 1
local.get $r2
local.set $fp-4:4
local.get $r10
local.set $r2
local.get $r2
i64.const -4
i64.add
local.set $r2
i64.const 1000512
local.set $r1
local.get $fp-4:4
i32.wrap_i64
i64.extend_i32_u
i32.wrap_i64
local.set $index
local.get $index
i32.const 16
i32.lt_u
if $i0 (result i32)
  local.get $index
  i32.const 2
  i32.shl
  i32.const 2262144
  i32.add
  i32.load align=1
else
  i32.const 0
end
i64.extend_i32_u
local.set $r0
i64.const 1
local.set $fp-4:4
local.get $r10
local.set $r2
local.get $r2
i64.const -4
i64.add
local.set $r2
local.get $r0
local.set $r1
local.get $r1
i32.wrap_i64
local.set $descriptor
local.get $descriptor
i32.load offset=80 align=1
local.set $seed
i64.const 1
local.set $word-0
local.get $word-0
i64.const 4294967295
i64.and
local.get $seed
i64.load align=1
i64.add
local.get $word-0
i64.const 32
i64.shr_u
local.get $seed
i64.load offset=8 align=1
i64.add
i64.mul
i64.const 32
i64.shr_u
i32.wrap_i64
local.tee $hash
local.get $descriptor
i32.load offset=52 align=1
i32.and
i32.const 8
i32.mul
local.get $descriptor
i32.load offset=48 align=1
i32.add
local.set $bucket
block $b1 (result i64)
  block $b2
    local.get $bucket
    i32.load align=1
    local.tee $element
    i32.eqz
    if $i3
      i64.const 0
      br $b1
    end
    local.get $element
    i32.load align=1
    local.get $hash
    i32.eq
    if $i4
      local.get $element
      i64.load32_u offset=16 align=1
      local.get $word-0
      i64.xor
      i64.eqz
      br_if $b2
    end
    loop $l5
      local.get $bucket
      i64.atomic.load
      local.tee $start
      i32.wrap_i64
      local.set $element
      loop $l6
        local.get $element
        if $i7
          local.get $element
          i32.load align=1
          local.get $hash
          i32.eq
          if $i8
            local.get $element
            i64.load32_u offset=16 align=1
            local.get $word-0
            i64.xor
            i64.eqz
            br_if $b2
          end
          local.get $element
          i32.atomic.load offset=8
          local.set $element
          br $l6
        end
      end
      local.get $bucket
      i32.atomic.load offset=4
      local.get $start
      i64.const 32
      i64.shr_u
      i32.wrap_i64
      i32.xor
      i32.const 8
      i32.shr_u
      br_if $l5
    end
    i64.const 0
    br $b1
  end
  local.get $element
  local.get $descriptor
  i32.load offset=68 align=1
  i32.add
  i64.extend_i32_u
end
local.set $r0
