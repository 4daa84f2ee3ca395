# The interpreter of syscall programs, x86_64. See ffi/program/layout.ts for the layout of header and operations.
#
# Position-independent, keeps everything in registers: a program may unmap the stack that it was called on. The stack
# is touched only by the first two and the last instructions of run().
#
#   rbx  the operation        rbp  the header        r9  the last result (survives until the return operation)

    .intel_syntax noprefix
    .text
    .globl start, run, thread_pointer, die

# Entry of an ELF file (ffi/elf/elf.ts): code and header are neighbours in the file, and 64 KiB further apart in memory.
start:
    lea     rdi, [rip + code_end + 65536]

# long run(struct header *)
run:
    push    rbx
    push    rbp
    mov     rbp, rdi
    mov     rbx, [rdi + 24]
operation:
    mov     eax, [rbx]
    cmp     eax, -1
    je      return
    mov     r11d, [rbx + 4]
    test    r11d, 0x400
    jnz     1f
    mov     [rbp], rbx
1:  mov     rdi, [rbx + 8]
    mov     rsi, [rbx + 16]
    mov     rdx, [rbx + 24]
    mov     r10, [rbx + 32]
    mov     r8, [rbx + 40]
    mov     r9, [rbx + 48]
    test    r11d, 0x3f
    jz      call
    test    r11b, 1
    jz      1f
    mov     rdi, [rdi]
1:  test    r11b, 2
    jz      1f
    mov     rsi, [rsi]
1:  test    r11b, 4
    jz      1f
    mov     rdx, [rdx]
1:  test    r11b, 8
    jz      1f
    mov     r10, [r10]
1:  test    r11b, 16
    jz      1f
    mov     r8, [r8]
1:  test    r11b, 32
    jz      call
    mov     r9, [r9]
call:
    syscall
    mov     r9, rax
    mov     [rbx + 104], rax
    cmp     rax, -4095
    jae     error
    mov     rcx, [rbx + 96]
    test    rcx, rcx
    jz      1f
    mov     [rcx], rax
1:  mov     r11d, [rbx + 4]
    test    r11d, 0x100
    jz      1f
    cmp     rax, [rbx + 56]
    jne     fail
1:  test    r11d, 0x200
    jz      1f
    cmp     rax, [rbx + 56]
    jne     next
1:
taken:
    mov     rcx, [rbx + 80]
go: test    rcx, rcx
    jz      next
    mov     rbx, rcx
    jmp     operation
next:
    sub     rbx, -128
    jmp     operation
error:
    mov     r11d, [rbx + 4]
    test    r11d, 0x200
    jz      1f
    cmp     rax, [rbx + 56]
    je      taken
1:  neg     rax
    cmp     rax, 128
    jae     fail
    bt      qword ptr [rbx + 64], rax
    jnc     fail
    mov     rcx, [rbx + 88]
    jmp     go
fail:
    mov     [rbp + 8], r9
    mov     [rbp + 16], rbx
    mov     edi, 127
    mov     eax, 231
    syscall
    ud2
return:
    mov     rax, r9
    pop     rbp
    pop     rbx
    ret

# void *thread_pointer(void)
thread_pointer:
    mov     rax, fs:[0]
    ret

# void die(int signal): a signal handler that ends the process as shells report it
die:
    lea     edi, [rdi + 128]
    mov     eax, 231
    syscall
    ud2

    .balign 16
code_end:
