;; call 5
global.get $block
i64.load offset=16 align=1
local.set $r0

;; call 7
call $bpf_get_prandom_u32
local.set $r0

;; call 8
global.get $cpu
i64.extend_i32_u
local.set $r0

;; r1 = r2
;; r2 = r3
;; call 65
local.get $r2
local.set $r1
local.get $r3
local.set $r2
local.get $r1
local.get $r2
call $bpf_xdp_adjust_tail
local.set $r0

;; r1 = r2
;; r2 = -20
;; call 44
local.get $r2
local.set $r1
i64.const -20
local.set $r2
local.get $r1
i32.wrap_i64
local.tee $context
i32.load align=1
local.set $data
local.get $context
i32.load offset=8 align=1
i32.const 1
i32.sub
local.get $data
i32.const 1
i32.sub
i32.lt_u
if $i0 (result i64)
  local.get $r1
  local.get $r2
  call $bpf_xdp_adjust_head
else
  local.get $data
  i64.extend_i32_u
  local.get $r2
  i64.extend32_s
  i64.add
  local.tee $moved
  local.get $context
  i64.load32_u offset=24 align=1
  i64.lt_s
  local.get $moved
  local.get $context
  i64.load32_u offset=4 align=1
  i64.const 14
  i64.sub
  i64.gt_s
  i32.or
  if $i1 (result i64)
    i64.const -22
  else
    local.get $context
    local.get $moved
    i64.store32 align=1
    local.get $context
    local.get $moved
    i64.store32 offset=8 align=1
    i64.const 0
  end
end
local.set $r0
