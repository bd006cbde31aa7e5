;; r0 = 1
;; if r2 == r3 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  local.get $r3
  i64.eq
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end

;; r0 = 1
;; if w2 == w3 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  i32.wrap_i64
  local.get $r3
  i32.wrap_i64
  i32.eq
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end

;; r0 = 1
;; if r2 == 7 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  i64.const 7
  i64.eq
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end

;; r0 = 1
;; if w2 == 7 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  i32.wrap_i64
  i32.const 7
  i32.eq
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end

;; r0 = 1
;; if r2 > r3 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  local.get $r3
  i64.gt_u
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end

;; r0 = 1
;; if w2 > w3 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  i32.wrap_i64
  local.get $r3
  i32.wrap_i64
  i32.gt_u
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end

;; r0 = 1
;; if r2 > 7 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  i64.const 7
  i64.gt_u
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end

;; r0 = 1
;; if w2 > 7 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  i32.wrap_i64
  i32.const 7
  i32.gt_u
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end

;; r0 = 1
;; if r2 >= r3 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  local.get $r3
  i64.ge_u
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end

;; r0 = 1
;; if w2 >= w3 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  i32.wrap_i64
  local.get $r3
  i32.wrap_i64
  i32.ge_u
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end

;; r0 = 1
;; if r2 >= 7 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  i64.const 7
  i64.ge_u
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end

;; r0 = 1
;; if w2 >= 7 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  i32.wrap_i64
  i32.const 7
  i32.ge_u
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end

;; r0 = 1
;; if r2 & r3 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  local.get $r3
  i64.and
  i64.eqz
  i32.eqz
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end

;; r0 = 1
;; if w2 & w3 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  i32.wrap_i64
  local.get $r3
  i32.wrap_i64
  i32.and
  i32.eqz
  i32.eqz
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end

;; r0 = 1
;; if r2 & 7 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  i64.const 7
  i64.and
  i64.eqz
  i32.eqz
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end

;; r0 = 1
;; if w2 & 7 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  i32.wrap_i64
  i32.const 7
  i32.and
  i32.eqz
  i32.eqz
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end

;; r0 = 1
;; if r2 != r3 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  local.get $r3
  i64.ne
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end

;; r0 = 1
;; if w2 != w3 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  i32.wrap_i64
  local.get $r3
  i32.wrap_i64
  i32.ne
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end

;; r0 = 1
;; if r2 != 7 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  i64.const 7
  i64.ne
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end

;; r0 = 1
;; if w2 != 7 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  i32.wrap_i64
  i32.const 7
  i32.ne
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end

;; r0 = 1
;; if r2 s> r3 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  local.get $r3
  i64.gt_s
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end

;; r0 = 1
;; if w2 s> w3 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  i32.wrap_i64
  local.get $r3
  i32.wrap_i64
  i32.gt_s
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end

;; r0 = 1
;; if r2 s> 7 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  i64.const 7
  i64.gt_s
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end

;; r0 = 1
;; if w2 s> 7 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  i32.wrap_i64
  i32.const 7
  i32.gt_s
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end

;; r0 = 1
;; if r2 s>= r3 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  local.get $r3
  i64.ge_s
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end

;; r0 = 1
;; if w2 s>= w3 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  i32.wrap_i64
  local.get $r3
  i32.wrap_i64
  i32.ge_s
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end

;; r0 = 1
;; if r2 s>= 7 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  i64.const 7
  i64.ge_s
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end

;; r0 = 1
;; if w2 s>= 7 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  i32.wrap_i64
  i32.const 7
  i32.ge_s
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end

;; r0 = 1
;; if r2 < r3 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  local.get $r3
  i64.lt_u
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end

;; r0 = 1
;; if w2 < w3 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  i32.wrap_i64
  local.get $r3
  i32.wrap_i64
  i32.lt_u
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end

;; r0 = 1
;; if r2 < 7 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  i64.const 7
  i64.lt_u
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end

;; r0 = 1
;; if w2 < 7 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  i32.wrap_i64
  i32.const 7
  i32.lt_u
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end

;; r0 = 1
;; if r2 <= r3 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  local.get $r3
  i64.le_u
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end

;; r0 = 1
;; if w2 <= w3 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  i32.wrap_i64
  local.get $r3
  i32.wrap_i64
  i32.le_u
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end

;; r0 = 1
;; if r2 <= 7 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  i64.const 7
  i64.le_u
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end

;; r0 = 1
;; if w2 <= 7 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  i32.wrap_i64
  i32.const 7
  i32.le_u
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end

;; r0 = 1
;; if r2 s< r3 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  local.get $r3
  i64.lt_s
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end

;; r0 = 1
;; if w2 s< w3 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  i32.wrap_i64
  local.get $r3
  i32.wrap_i64
  i32.lt_s
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end

;; r0 = 1
;; if r2 s< 7 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  i64.const 7
  i64.lt_s
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end

;; r0 = 1
;; if w2 s< 7 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  i32.wrap_i64
  i32.const 7
  i32.lt_s
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end

;; r0 = 1
;; if r2 s<= r3 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  local.get $r3
  i64.le_s
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end

;; r0 = 1
;; if w2 s<= w3 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  i32.wrap_i64
  local.get $r3
  i32.wrap_i64
  i32.le_s
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end

;; r0 = 1
;; if r2 s<= 7 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  i64.const 7
  i64.le_s
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end

;; r0 = 1
;; if w2 s<= 7 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  i32.wrap_i64
  i32.const 7
  i32.le_s
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end

;; r0 = 1
;; if r2 == 0 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  i64.eqz
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end

;; r0 = 1
;; if r2 != 0 goto +1
;; r0 = 2
block $b0
  i64.const 1
  local.set $r0
  local.get $r2
  i64.const 0
  i64.ne
  br_if $b0
  i64.const 2
  local.set $r0
  br $b0
end
