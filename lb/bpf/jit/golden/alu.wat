;; r2 += r3
local.get $r2
local.get $r3
i64.add
local.set $r2

;; w2 += w3
local.get $r2
i32.wrap_i64
local.get $r3
i32.wrap_i64
i32.add
i64.extend_i32_u
local.set $r2

;; r2 += 7
local.get $r2
i64.const 7
i64.add
local.set $r2

;; w2 += 7
local.get $r2
i32.wrap_i64
i32.const 7
i32.add
i64.extend_i32_u
local.set $r2

;; r2 -= r3
local.get $r2
local.get $r3
i64.sub
local.set $r2

;; w2 -= w3
local.get $r2
i32.wrap_i64
local.get $r3
i32.wrap_i64
i32.sub
i64.extend_i32_u
local.set $r2

;; r2 -= 7
local.get $r2
i64.const 7
i64.sub
local.set $r2

;; w2 -= 7
local.get $r2
i32.wrap_i64
i32.const 7
i32.sub
i64.extend_i32_u
local.set $r2

;; r2 *= r3
local.get $r2
local.get $r3
i64.mul
local.set $r2

;; w2 *= w3
local.get $r2
i32.wrap_i64
local.get $r3
i32.wrap_i64
i32.mul
i64.extend_i32_u
local.set $r2

;; r2 *= 7
local.get $r2
i64.const 7
i64.mul
local.set $r2

;; w2 *= 7
local.get $r2
i32.wrap_i64
i32.const 7
i32.mul
i64.extend_i32_u
local.set $r2

;; r2 /= r3
local.get $r3
i64.eqz
if $i0 (result i64)
  i64.const 0
else
  local.get $r2
  local.get $r3
  i64.div_u
end
local.set $r2

;; w2 /= w3
local.get $r3
i32.wrap_i64
i32.eqz
if $i0 (result i32)
  i32.const 0
else
  local.get $r2
  i32.wrap_i64
  local.get $r3
  i32.wrap_i64
  i32.div_u
end
i64.extend_i32_u
local.set $r2

;; r2 /= 7
local.get $r2
i64.const 7
i64.div_u
local.set $r2

;; w2 /= 7
local.get $r2
i32.wrap_i64
i32.const 7
i32.div_u
i64.extend_i32_u
local.set $r2

;; r2 s/= r3
local.get $r3
i64.eqz
if $i0 (result i64)
  i64.const 0
else
  local.get $r3
  i64.const -1
  i64.eq
  if $i1 (result i64)
    i64.const 0
    local.get $r2
    i64.sub
  else
    local.get $r2
    local.get $r3
    i64.div_s
  end
end
local.set $r2

;; w2 s/= w3
local.get $r3
i32.wrap_i64
i32.eqz
if $i0 (result i32)
  i32.const 0
else
  local.get $r3
  i32.wrap_i64
  i32.const -1
  i32.eq
  if $i1 (result i32)
    i32.const 0
    local.get $r2
    i32.wrap_i64
    i32.sub
  else
    local.get $r2
    i32.wrap_i64
    local.get $r3
    i32.wrap_i64
    i32.div_s
  end
end
i64.extend_i32_u
local.set $r2

;; r2 s/= 7
local.get $r2
i64.const 7
i64.div_s
local.set $r2

;; w2 s/= 7
local.get $r2
i32.wrap_i64
i32.const 7
i32.div_s
i64.extend_i32_u
local.set $r2

;; r2 |= r3
local.get $r2
local.get $r3
i64.or
local.set $r2

;; w2 |= w3
local.get $r2
i32.wrap_i64
local.get $r3
i32.wrap_i64
i32.or
i64.extend_i32_u
local.set $r2

;; r2 |= 7
local.get $r2
i64.const 7
i64.or
local.set $r2

;; w2 |= 7
local.get $r2
i32.wrap_i64
i32.const 7
i32.or
i64.extend_i32_u
local.set $r2

;; r2 &= r3
local.get $r2
local.get $r3
i64.and
local.set $r2

;; w2 &= w3
local.get $r2
i32.wrap_i64
local.get $r3
i32.wrap_i64
i32.and
i64.extend_i32_u
local.set $r2

;; r2 &= 7
local.get $r2
i64.const 7
i64.and
local.set $r2

;; w2 &= 7
local.get $r2
i32.wrap_i64
i32.const 7
i32.and
i64.extend_i32_u
local.set $r2

;; r2 <<= r3
local.get $r2
local.get $r3
i64.shl
local.set $r2

;; w2 <<= w3
local.get $r2
i32.wrap_i64
local.get $r3
i32.wrap_i64
i32.shl
i64.extend_i32_u
local.set $r2

;; r2 <<= 7
local.get $r2
i64.const 7
i64.shl
local.set $r2

;; w2 <<= 7
local.get $r2
i32.wrap_i64
i32.const 7
i32.shl
i64.extend_i32_u
local.set $r2

;; r2 >>= r3
local.get $r2
local.get $r3
i64.shr_u
local.set $r2

;; w2 >>= w3
local.get $r2
i32.wrap_i64
local.get $r3
i32.wrap_i64
i32.shr_u
i64.extend_i32_u
local.set $r2

;; r2 >>= 7
local.get $r2
i64.const 7
i64.shr_u
local.set $r2

;; w2 >>= 7
local.get $r2
i32.wrap_i64
i32.const 7
i32.shr_u
i64.extend_i32_u
local.set $r2

;; r2 %= r3
local.get $r3
i64.eqz
if $i0 (result i64)
  local.get $r2
else
  local.get $r2
  local.get $r3
  i64.rem_u
end
local.set $r2

;; w2 %= w3
local.get $r3
i32.wrap_i64
i32.eqz
if $i0 (result i32)
  local.get $r2
  i32.wrap_i64
else
  local.get $r2
  i32.wrap_i64
  local.get $r3
  i32.wrap_i64
  i32.rem_u
end
i64.extend_i32_u
local.set $r2

;; r2 %= 7
local.get $r2
i64.const 7
i64.rem_u
local.set $r2

;; w2 %= 7
local.get $r2
i32.wrap_i64
i32.const 7
i32.rem_u
i64.extend_i32_u
local.set $r2

;; r2 s%= r3
local.get $r3
i64.eqz
if $i0 (result i64)
  local.get $r2
else
  local.get $r2
  local.get $r3
  i64.rem_s
end
local.set $r2

;; w2 s%= w3
local.get $r3
i32.wrap_i64
i32.eqz
if $i0 (result i32)
  local.get $r2
  i32.wrap_i64
else
  local.get $r2
  i32.wrap_i64
  local.get $r3
  i32.wrap_i64
  i32.rem_s
end
i64.extend_i32_u
local.set $r2

;; r2 s%= 7
local.get $r2
i64.const 7
i64.rem_s
local.set $r2

;; w2 s%= 7
local.get $r2
i32.wrap_i64
i32.const 7
i32.rem_s
i64.extend_i32_u
local.set $r2

;; r2 ^= r3
local.get $r2
local.get $r3
i64.xor
local.set $r2

;; w2 ^= w3
local.get $r2
i32.wrap_i64
local.get $r3
i32.wrap_i64
i32.xor
i64.extend_i32_u
local.set $r2

;; r2 ^= 7
local.get $r2
i64.const 7
i64.xor
local.set $r2

;; w2 ^= 7
local.get $r2
i32.wrap_i64
i32.const 7
i32.xor
i64.extend_i32_u
local.set $r2

;; r2 = r3
local.get $r3
local.set $r2

;; w2 = w3
local.get $r3
i32.wrap_i64
i64.extend_i32_u
local.set $r2

;; r2 = 7
i64.const 7
local.set $r2

;; w2 = 7
i32.const 7
i64.extend_i32_u
local.set $r2

;; r2 s>>= r3
local.get $r2
local.get $r3
i64.shr_s
local.set $r2

;; w2 s>>= w3
local.get $r2
i32.wrap_i64
local.get $r3
i32.wrap_i64
i32.shr_s
i64.extend_i32_u
local.set $r2

;; r2 s>>= 7
local.get $r2
i64.const 7
i64.shr_s
local.set $r2

;; w2 s>>= 7
local.get $r2
i32.wrap_i64
i32.const 7
i32.shr_s
i64.extend_i32_u
local.set $r2
