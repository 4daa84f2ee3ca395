# A signal handler, x86_64: adds one to the eventfd whose number stands behind the code. See ffi/signal.ts.
#
# The kernel keeps all registers over a handler, and errno is the C library's alone: nothing needs to be saved.

    .intel_syntax noprefix
    .text
    .globl handler, descriptor

# void handler(int signal)
handler:
    mov     edi, [rip + number]
    lea     rsi, [rip + one]
    mov     edx, 8
    mov     eax, 1
    syscall
    ret

    .balign 8
one:
    .quad   1
descriptor:
number:
    .quad   0
