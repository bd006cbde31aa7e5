;; r2 = 0x123456789abcdef0 ll
i64.const 1311768467463790320
local.set $r2

;; r2 = map[0]
i64.const 1000000
local.set $r2

;; r2 = map[0] value + 8
i64.const 2000008
local.set $r2

;; r2 = function 4
;; r0 = 0
;; exit
;; f:
;; r0 = 0
i64.const 4
local.set $r2
i64.const 0
local.set $r0
