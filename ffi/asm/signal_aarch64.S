// A signal handler, aarch64: adds one to the eventfd whose number stands behind the code. See ffi/signal.ts.
//
// The kernel keeps all registers over a handler, and errno is the C library's alone: nothing needs to be saved.

    .text
    .globl handler, descriptor

// void handler(int signal)
handler:
    ldr     w0, number
    adr     x1, one
    mov     x2, #8
    mov     x8, #64
    svc     #0
    ret

    .balign 8
one:
    .quad   1
descriptor:
number:
    .quad   0
