;; r2 /= 0
i64.const 0
local.set $r2

;; r2 /= -1
local.get $r2
i64.const -1
i64.div_u
local.set $r2

;; r2 s/= 0
i64.const 0
local.set $r2

;; r2 s/= -1
i64.const 0
local.get $r2
i64.sub
local.set $r2

;; r2 %= 0
local.get $r2
local.set $r2

;; r2 %= -1
local.get $r2
i64.const -1
i64.rem_u
local.set $r2

;; r2 s%= 0
local.get $r2
local.set $r2

;; r2 s%= -1
local.get $r2
i64.const -1
i64.rem_s
local.set $r2
