// The interpreter of syscall programs, aarch64. See ffi/program/layout.ts for the layout of header and operations.
//
// Position-independent, keeps everything in registers: a program may unmap the stack that it was called on. The stack
// is touched only by the first and the last instructions of run().
//
//   x19  the operation        x20  the header        x10  the last result (survives until the return operation)

    .text
    .globl start, run, thread_pointer, die

// Entry of an ELF file (ffi/elf/elf.ts): code and header are neighbours in the file, and 64 KiB further apart in memory.
start:
    adr     x0, code_end + 65536

// long run(struct header *)
run:
    stp     x19, x20, [sp, #-16]!
    mov     x20, x0
    ldr     x19, [x0, #24]
operation:
    ldr     w8, [x19]
    cmn     w8, #1
    b.eq    return
    ldr     w9, [x19, #4]
    tbnz    w9, #10, 1f
    str     x19, [x20]
1:  ldp     x0, x1, [x19, #8]
    ldp     x2, x3, [x19, #24]
    ldp     x4, x5, [x19, #40]
    tbz     w9, #0, 1f
    ldr     x0, [x0]
1:  tbz     w9, #1, 1f
    ldr     x1, [x1]
1:  tbz     w9, #2, 1f
    ldr     x2, [x2]
1:  tbz     w9, #3, 1f
    ldr     x3, [x3]
1:  tbz     w9, #4, 1f
    ldr     x4, [x4]
1:  tbz     w9, #5, 1f
    ldr     x5, [x5]
1:  svc     #0
    mov     x10, x0
    str     x0, [x19, #104]
    cmn     x0, #4095
    b.hs    error
    ldr     x11, [x19, #96]
    cbz     x11, 1f
    str     x0, [x11]
1:  ldr     w9, [x19, #4]
    ldr     x12, [x19, #56]
    tbz     w9, #8, 1f
    cmp     x0, x12
    b.ne    fail
1:  tbz     w9, #9, 1f
    cmp     x0, x12
    b.ne    next
1:
taken:
    ldr     x11, [x19, #80]
go: cbz     x11, next
    mov     x19, x11
    b       operation
next:
    add     x19, x19, #128
    b       operation
error:
    ldr     w9, [x19, #4]
    tbz     w9, #9, 1f
    ldr     x12, [x19, #56]
    cmp     x0, x12
    b.eq    taken
1:  neg     x0, x0
    cmp     x0, #128
    b.hs    fail
    add     x11, x19, #64
    lsr     x12, x0, #6
    ldr     x11, [x11, x12, lsl #3]
    lsr     x11, x11, x0
    tbz     x11, #0, fail
    ldr     x11, [x19, #88]
    b       go
fail:
    str     x10, [x20, #8]
    str     x19, [x20, #16]
    mov     x0, #127
    mov     x8, #94
    svc     #0
    brk     #0
return:
    mov     x0, x10
    ldp     x19, x20, [sp], #16
    ret

// void *thread_pointer(void)
thread_pointer:
    mrs     x0, tpidr_el0
    ret

// void die(int signal): a signal handler that ends the process as shells report it
die:
    add     w0, w0, #128
    mov     x8, #94
    svc     #0
    brk     #0

    .balign 16
code_end:
