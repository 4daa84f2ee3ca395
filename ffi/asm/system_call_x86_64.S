# One system call with the kernel's own answer, x86_64. See ffi/kernel_answer.ts.

    .intel_syntax noprefix
    .text
    .globl system_call

# long system_call(long number, long a, long b, long c, long d, long e, long f)
system_call:
    mov     rax, rdi
    mov     rdi, rsi
    mov     rsi, rdx
    mov     rdx, rcx
    mov     r10, r8
    mov     r8, r9
    mov     r9, [rsp + 8]
    syscall
    ret
