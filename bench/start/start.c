/*
 * The peer of a container's start: the very same system calls, from C.
 *
 *   start FILE ADDRESS BEFORE CHILD AFTER CLEANUP OUTPUT
 *
 * FILE holds syscall programs as ffi/program/layout.ts describes them, assembled for ADDRESS; the other numbers are
 * offsets of the four programs in it. Each line on standard input is a number of starts; each is answered by one line
 * with their times in microseconds. Built by bench/start/peer.ts with cc -O2.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct header { uint64_t current; int64_t failure; uint64_t failed; uint64_t first; };

struct operation {
    uint32_t number, mode;
    int64_t args[6];
    int64_t expect;
    uint64_t allowed[2];
    uint64_t then, otherwise, into;
    int64_t result;
    uint64_t unused[2];
};

enum { EXACT = 0x100, BRANCH = 0x200 };
/* Set by bench/start/peer.ts for steps that are about memory which only barge's own process has. */
#define SKIP 0xfffffffeu
#define RETURN 0xffffffffu

/* What the interpreters in ffi/asm do, with the C library's syscall(). */
static int64_t perform(struct header *header)
{
    struct operation *op = (void *)header->first;
    int64_t last = 0;
    for (;;) {
        if (op->number == RETURN) return last;
        if (op->number == SKIP) { op++; continue; }
        int64_t a[6];
        for (int i = 0; i < 6; i++) a[i] = op->mode & 1u << i ? *(int64_t *)op->args[i] : op->args[i];
        header->current = (uint64_t)op;
        last = syscall(op->number, a[0], a[1], a[2], a[3], a[4], a[5]);
        if (last == -1) {
            int error = errno;
            last = -error;
            if (error >= 128 || !(op->allowed[error / 64] >> error % 64 & 1)) goto fail;
            op = op->otherwise ? (void *)op->otherwise : op + 1;
            continue;
        }
        if (op->into) *(int64_t *)op->into = last;
        if (op->mode & EXACT && last != op->expect) goto fail;
        if (op->mode & BRANCH && last != op->expect) { op++; continue; }
        op = op->then ? (void *)op->then : op + 1;
    }
fail:
    header->failure = last;
    header->failed = (uint64_t)op;
    return -1;
}

static void die(const char *what)
{
    fprintf(stderr, "start: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

int main(int argc, char **argv)
{
    if (argc != 8) return 2;
    int file = open(argv[1], O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (file < 0 || fstat(file, &st)) die(argv[1]);
    char *fresh = malloc(st.st_size);
    if (!fresh || read(file, fresh, st.st_size) != st.st_size) die("read");
    char *base = mmap((void *)strtoull(argv[2], 0, 0), st.st_size, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (base != (void *)strtoull(argv[2], 0, 0)) die("mmap");
    struct header *program[4];
    for (int i = 0; i < 4; i++) program[i] = (void *)(base + atol(argv[3 + i]));

    /* The numbers that peer.ts gave: standard streams, the report pipe, the stub. */
    int null = open("/dev/null", O_RDWR), output = open(argv[7], O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (dup2(null, 100) < 0 || dup2(output, 101) < 0 || dup2(output, 102) < 0) die("dup2");
    if (dup2(memfd_create("stub", 0), 104) < 0) die("memfd");

    int count;
    while (scanf("%d", &count) == 1) {
        for (int i = 0; i < count; i++) {
            memcpy(base, fresh, st.st_size);
            double begin = now();
            if (perform(program[0]) < 0) { errno = -program[0]->failure; die("before"); }
            int report[2];
            if (pipe2(report, O_CLOEXEC) || dup2(report[1], 103) < 0) die("pipe");
            close(report[1]);
            int64_t pid = perform(program[1]);
            /* The child never returns from its program: it has executed the command, or failed. */
            if (program[1]->failed) _exit(127);
            if (pid < 0) { errno = -pid; die("clone"); }
            close(103);
            if (perform(program[2]) < 0) { errno = -program[2]->failure; die("after"); }
            char byte;
            while (read(report[0], &byte, 1) > 0);
            double end = now();
            close(report[0]);
            int status;
            waitpid(pid, &status, 0);
            if (program[1]->failed) {
                fprintf(stderr, "start: step %ld of the child failed with %ld\n",
                        (long)(program[1]->failed - program[1]->first) / 128, (long)program[1]->failure);
                return 1;
            }
            if (status) { fprintf(stderr, "start: the command ended with %x\n", status); return 1; }
            for (int tries = 0; perform(program[3]) < 0; tries++) {
                if (tries > 1000) die("cleanup");
                usleep(1000);
                memcpy(program[3], fresh + ((char *)program[3] - base), sizeof *program[3]);
            }
            printf("%.1f ", end - begin);
        }
        printf("\n");
        fflush(stdout);
    }
    return 0;
}
