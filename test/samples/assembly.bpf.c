/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What is written in assembly: bounds that the compiler would forget, byte swaps, whole functions. */
#include "sample.h"
#include "net.h"

__u64 seen[8];

#define bounded(number, limit) asm volatile("if %0 <= %1 goto +1; %0 = %1" : "+r"(number) : "i"(limit))

SEC("xdp")
int barriers(struct xdp_md *ctx)
{
	__u64 length = ctx->data_end - ctx->data, index = length;
	__u32 low = length;

	bounded(index, 7);
	seen[index] += length;
	asm volatile("%0 = be16 %0" : "+r"(length));
	asm volatile("%0 s>>= 2" : "+r"(length));
	asm volatile("r0 = %1; w0 *= 7; %0 = r0" : "=r"(index) : "r"((__u64)low) : "r0");
	return (length + index) % 5;
}

__attribute__((naked)) SEC("xdp")
int written(struct xdp_md *ctx)
{
	asm volatile("r2 = *(u32 *)(r1 + 4);"
		     "r1 = *(u32 *)(r1 + 0);"
		     "r3 = r1;"
		     "r3 += 14;"
		     "if r3 > r2 goto +7;"
		     "r0 = *(u16 *)(r1 + 12);"
		     "r0 = be16 r0;"
		     "if r0 == 0x800 goto +2;"
		     "r0 = 1;"
		     "exit;"
		     "r0 = 2;"
		     "exit;"
		     "r0 = 0;"
		     "exit;" ::
			     : "r0", "r1", "r2", "r3");
}

char _license[] SEC("license") = "GPL";
