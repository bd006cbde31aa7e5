;; r0 = 0
;; again:
;; r0 += r3
;; r2 += -1
;; if r2 != 0 goto again
(module
  (import "env" "block" (global $block i32))
  (import "env" "memory" (memory 2 65536 shared))
  (func $tail (export "tail") (param $r1 i64) (param $r2 i64) (param $frame i32) (result i64)
    (local $r0 i64) (local $r3 i64) (local $r10 i64)
    local.get $frame
    i32.const 512
    i32.add
    i64.extend_i32_u
    local.set $r10
    i64.const 0
    local.set $r0
    loop $l0
      local.get $r0
      local.get $r3
      i64.add
      local.set $r0
      local.get $r2
      i64.const -1
      i64.add
      local.set $r2
      local.get $r2
      i64.const 0
      i64.ne
      br_if $l0
      local.get $r0
      return
    end
    unreachable
  )
  (func $run (export "run") (param $context i32) (result i32)
    (local $r0 i64) (local $r1 i64) (local $r2 i64) (local $r3 i64) (local $r10 i64) (local $frame i32)
    local.get $context
    i64.extend_i32_u
    local.set $r1
    global.get $block
    i32.const 89600
    i32.add
    local.set $frame
    local.get $frame
    i32.const 512
    i32.add
    i64.extend_i32_u
    local.set $r10
    i64.const 0
    local.set $r0
    loop $l0
      local.get $r0
      local.get $r3
      i64.add
      local.set $r0
      local.get $r2
      i64.const -1
      i64.add
      local.set $r2
      local.get $r2
      i64.const 0
      i64.ne
      br_if $l0
      local.get $r0
      i32.wrap_i64
      return
    end
    unreachable
  )
  (func $call (export "call") (param $0 i64) (param $1 i64) (result i64)
    local.get $0
    local.get $1
    global.get $block
    i32.const 89600
    i32.add
    call $tail
  )
)

;; r0 = 1
;; if r2 == 0 goto both
;; r0 = 2
;; if r3 == 0 goto both
;; r0 = 3
;; both:
;; r0 += 1
(module
  (import "env" "block" (global $block i32))
  (import "env" "memory" (memory 2 65536 shared))
  (func $tail (export "tail") (param $r1 i64) (param $r2 i64) (param $frame i32) (result i64)
    (local $r0 i64) (local $r3 i64) (local $r10 i64)
    local.get $frame
    i32.const 512
    i32.add
    i64.extend_i32_u
    local.set $r10
    block $b0
      i64.const 1
      local.set $r0
      local.get $r2
      i64.eqz
      br_if $b0
      i64.const 2
      local.set $r0
      local.get $r3
      i64.eqz
      br_if $b0
      i64.const 3
      local.set $r0
      br $b0
    end
    local.get $r0
    i64.const 1
    i64.add
    local.set $r0
    local.get $r0
    return
    unreachable
  )
  (func $run (export "run") (param $context i32) (result i32)
    (local $r0 i64) (local $r1 i64) (local $r2 i64) (local $r3 i64) (local $r10 i64) (local $frame i32)
    local.get $context
    i64.extend_i32_u
    local.set $r1
    global.get $block
    i32.const 89600
    i32.add
    local.set $frame
    local.get $frame
    i32.const 512
    i32.add
    i64.extend_i32_u
    local.set $r10
    block $b0
      i64.const 1
      local.set $r0
      local.get $r2
      i64.eqz
      br_if $b0
      i64.const 2
      local.set $r0
      local.get $r3
      i64.eqz
      br_if $b0
      i64.const 3
      local.set $r0
      br $b0
    end
    local.get $r0
    i64.const 1
    i64.add
    local.set $r0
    local.get $r0
    i32.wrap_i64
    return
    unreachable
  )
  (func $call (export "call") (param $0 i64) (param $1 i64) (result i64)
    local.get $0
    local.get $1
    global.get $block
    i32.const 89600
    i32.add
    call $tail
  )
)

;; if r2 == 0 goto b
;; a:
;; r3 += 1
;; if r3 == 9 goto out
;; b:
;; r3 += 2
;; goto a
;; out:
;; r0 = r3
(module
  (import "env" "block" (global $block i32))
  (import "env" "memory" (memory 2 65536 shared))
  (func $tail (export "tail") (param $r1 i64) (param $r2 i64) (param $frame i32) (result i64)
    (local $r0 i64) (local $r3 i64) (local $r10 i64) (local $next i32)
    local.get $frame
    i32.const 512
    i32.add
    i64.extend_i32_u
    local.set $r10
    block $b0
      local.get $r2
      i64.eqz
      if $i1
        i32.const 1
        local.set $next
        br $b0
      end
      i32.const 0
      local.set $next
      br $b0
    end
    loop $l2
      block $b3
        block $b4
          local.get $next
          br_table $b3 $b4
        end
        local.get $r3
        i64.const 2
        i64.add
        local.set $r3
        i32.const 0
        local.set $next
        br $l2
      end
      local.get $r3
      i64.const 1
      i64.add
      local.set $r3
      local.get $r3
      i64.const 9
      i64.eq
      if $i5
        local.get $r3
        local.set $r0
        local.get $r0
        return
      end
      i32.const 1
      local.set $next
      br $l2
    end
    unreachable
  )
  (func $run (export "run") (param $context i32) (result i32)
    (local $r0 i64) (local $r1 i64) (local $r2 i64) (local $r3 i64) (local $r10 i64) (local $frame i32) (local $next i32)
    local.get $context
    i64.extend_i32_u
    local.set $r1
    global.get $block
    i32.const 89600
    i32.add
    local.set $frame
    local.get $frame
    i32.const 512
    i32.add
    i64.extend_i32_u
    local.set $r10
    block $b0
      local.get $r2
      i64.eqz
      if $i1
        i32.const 1
        local.set $next
        br $b0
      end
      i32.const 0
      local.set $next
      br $b0
    end
    loop $l2
      block $b3
        block $b4
          local.get $next
          br_table $b3 $b4
        end
        local.get $r3
        i64.const 2
        i64.add
        local.set $r3
        i32.const 0
        local.set $next
        br $l2
      end
      local.get $r3
      i64.const 1
      i64.add
      local.set $r3
      local.get $r3
      i64.const 9
      i64.eq
      if $i5
        local.get $r3
        local.set $r0
        local.get $r0
        i32.wrap_i64
        return
      end
      i32.const 1
      local.set $next
      br $l2
    end
    unreachable
  )
  (func $call (export "call") (param $0 i64) (param $1 i64) (result i64)
    local.get $0
    local.get $1
    global.get $block
    i32.const 89600
    i32.add
    call $tail
  )
)

;; call f
;; r0 += 1
;; exit
;; f:
;; r0 = r1
(module
  (import "env" "block" (global $block i32))
  (import "env" "memory" (memory 2 65536 shared))
  (func $function@3 (param $r1 i64) (param $r2 i64) (param $r3 i64) (param $r4 i64) (param $r5 i64) (param $frame i32) (result i64)
    (local $r0 i64) (local $r10 i64)
    local.get $frame
    i32.const 512
    i32.add
    i64.extend_i32_u
    local.set $r10
    local.get $r1
    local.set $r0
    local.get $r0
    return
    unreachable
  )
  (func $tail (export "tail") (param $r1 i64) (param $r2 i64) (param $frame i32) (result i64)
    (local $r0 i64) (local $r3 i64) (local $r4 i64) (local $r5 i64) (local $r10 i64)
    local.get $frame
    i32.const 512
    i32.add
    i64.extend_i32_u
    local.set $r10
    local.get $r1
    local.get $r2
    local.get $r3
    local.get $r4
    local.get $r5
    local.get $frame
    i32.const 512
    i32.sub
    call $function@3
    local.set $r0
    local.get $r0
    i64.const 1
    i64.add
    local.set $r0
    local.get $r0
    return
    unreachable
  )
  (func $run (export "run") (param $context i32) (result i32)
    (local $r0 i64) (local $r1 i64) (local $r2 i64) (local $r3 i64) (local $r4 i64) (local $r5 i64) (local $r10 i64) (local $frame i32)
    local.get $context
    i64.extend_i32_u
    local.set $r1
    global.get $block
    i32.const 89600
    i32.add
    local.set $frame
    local.get $frame
    i32.const 512
    i32.add
    i64.extend_i32_u
    local.set $r10
    local.get $r1
    local.get $r2
    local.get $r3
    local.get $r4
    local.get $r5
    local.get $frame
    i32.const 512
    i32.sub
    call $function@3
    local.set $r0
    local.get $r0
    i64.const 1
    i64.add
    local.set $r0
    local.get $r0
    i32.wrap_i64
    return
    unreachable
  )
  (func $call (export "call") (param $0 i64) (param $1 i64) (result i64)
    local.get $0
    local.get $1
    global.get $block
    i32.const 89600
    i32.add
    call $tail
  )
)
