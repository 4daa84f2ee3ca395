/*
 * The launcher: a static executable without a C library that keeps what Deno would change, and starts Deno.
 *
 * It finds itself by /proc/self/exe as PREFIX/bin/NAME and executes
 *   PREFIX/lib/barge/deno run … PREFIX/lib/barge/SCRIPT ARGUMENTS…
 * where the script is start-NAME.js for a name that it is called by, start-WORD.js without that word for a first argument,
 * or main.js where neither is there: a personality that starts by itself is loaded 2 ms sooner. It starts Deno with the
 * environment cleaned of what would change Deno's own behaviour. See ffi/launch.ts for what it passes on.
 *
 * Compiled by tools/generate/launcher.ts into ffi/gen/launcher.ts. Code only: no data that is written, no relocations.
 */

typedef unsigned long word;

#if defined(__x86_64__)
enum { SYS_readlinkat = 267, SYS_write = 1, SYS_execve = 59, SYS_exit = 231, SYS_chdir = 80, SYS_getcwd = 79, SYS_umask = 95,
       SYS_prlimit = 302, SYS_sigaction = 13, SYS_sigmask = 14, SYS_faccessat = 269, SYS_openat = 257, SYS_read = 0,
       SYS_close = 3, SYS_pipe2 = 293, SYS_clone = 56, SYS_setsid = 112, O_NOFOLLOW = 0400000 };
static word call(word n, word a, word b, word c, word d) {
    register word r10 __asm__("r10") = d;
    __asm__ volatile("syscall" : "+a"(n) : "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
    return n;
}
__asm__(".section .text.start,\"ax\"\n.globl _start\n_start: mov %rsp,%rdi\nand $-16,%rsp\ncall launch\n");
#elif defined(__aarch64__)
enum { SYS_readlinkat = 78, SYS_write = 64, SYS_execve = 221, SYS_exit = 94, SYS_chdir = 49, SYS_getcwd = 17, SYS_umask = 166,
       SYS_prlimit = 261, SYS_sigaction = 134, SYS_sigmask = 135, SYS_faccessat = 48, SYS_openat = 56, SYS_read = 63,
       SYS_close = 57, SYS_pipe2 = 59, SYS_clone = 220, SYS_setsid = 157, O_NOFOLLOW = 0100000 };
static word call(word n, word a, word b, word c, word d) {
    register word x8 __asm__("x8") = n;
    register word x0 __asm__("x0") = a;
    register word x1 __asm__("x1") = b;
    register word x2 __asm__("x2") = c;
    register word x3 __asm__("x3") = d;
    __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
    return x0;
}
__asm__(".section .text.start,\"ax\"\n.globl _start\n_start: mov x0, sp\nbl launch\n");
#endif

#define FAILED(result) ((result) > -4096UL)
#define PATH_BYTES 4096
#define ENTRIES_MAX 8192
#define RENAMED_BYTES 65536

/* Appends text, then a NUL that the next append overwrites; gives its place. */
static char *append(char *to, const char *text) {
    while (*text) *to++ = *text++;
    *to = 0;
    return to;
}

static char *append_hex(char *to, word value) {
    int shift = 60;
    while (shift > 0 && !(value >> shift)) shift -= 4;
    for (; shift >= 0; shift -= 4) *to++ = "0123456789abcdef"[(value >> shift) & 15];
    *to = 0;
    return to;
}

static int begins(const char *text, const char *prefix) {
    while (*prefix) if (*text++ != *prefix++) return 0;
    return 1;
}

static word length(const char *text) {
    word n = 0;
    while (text[n]) n++;
    return n;
}

__attribute__((noreturn)) static void fail(const char *what, const char *path) {
    char line[PATH_BYTES + 128];
    char *end = append(append(append(append(line, "barge: "), what), path), "\n");
    call(SYS_write, 2, (word) line, (word) (end - line), 0);
    for (;;) call(SYS_exit, 125, 0, 0, 0);
}

/* What changes Deno's behaviour, and is therefore given to it under another name only. */
static int is_denos(const char *entry) {
    return begins(entry, "DENO_") || begins(entry, "NODE_") || begins(entry, "LD_") || begins(entry, "NPM_CONFIG_") ||
        begins(entry, "npm_config_") || begins(entry, "V8_") || begins(entry, "NO_COLOR=") ||
        begins(entry, "FORCE_COLOR=") || begins(entry, "RUST_") || begins(entry, "MALLOC_") || begins(entry, "GLIBC_");
}

/* Signals that the caller ignores, and those that it blocks, as bits from signal 1. */
static void signals(word *ignored, word *blocked) {
    word action[4];
    for (int number = 1; number <= 64; number++) {
        if (!FAILED(call(SYS_sigaction, (word) number, 0, (word) action, 8)) && action[0] == 1) {
            *ignored |= 1UL << (number - 1);
        }
    }
    call(SYS_sigmask, 2, 0, (word) blocked, 8);
}

/* Writes the path of a personality's own script, and tells whether it is there. */
static int own_script(char *to, const char *home, const char *name) {
    word n = length(name);
    if (n == 0 || n > 64) return 0;
    for (word i = 0; i < n; i++) if (name[i] == '/') return 0;
    append(append(append(append(to, home), "/start-"), name), ".js");
    return !FAILED(call(SYS_faccessat, (word) -100, (word) to, 4, 0));
}

/* BARGE_LAUNCH: see ffi/launch.ts. */
static void describe(char *to) {
    word limits[2] = { 0, 0 }, ignored = 0, blocked = 0;
    call(SYS_prlimit, 0, 7, 0, (word) limits);
    word mask = call(SYS_umask, 0, 0, 0, 0);
    call(SYS_umask, mask, 0, 0, 0);
    signals(&ignored, &blocked);
    word fields[] = { limits[0], limits[1], mask, ignored, blocked };
    to = append(to, "BARGE_LAUNCH=1");
    for (int i = 0; i < 5; i++) to = append_hex(append(to, ":"), fields[i]);
}

static int same(const char *a, const char *b) {
    while (*a && *a == *b) a++, b++;
    return *a == *b;
}

__attribute__((noreturn)) static void leave(word code) {
    for (;;) call(SYS_exit, code, 0, 0, 0);
}

/*
 * containerd asks a shim to `delete` after each container, also after one that the shim itself has deleted. The answer to
 * that is in the bundle, and Deno need not start for it: ffi/launch.ts, deletedFile.
 */
static void answer_deleted(word argc, char **argv, const char *directory) {
    const char *id = 0, *last = directory;
    for (word i = 1; i + 1 < argc; i++) if (same(argv[i], "-id")) id = argv[i + 1];
    for (const char *c = directory; *c; c++) if (*c == '/') last = c + 1;
    if (!id || !same(id, last)) return;
    word file = call(SYS_openat, (word) -100, (word) "deleted", O_NOFOLLOW | 02000000, 0);
    if (FAILED(file)) return;
    char answer[256];
    word size = call(SYS_read, file, (word) answer, sizeof answer, 0);
    if (FAILED(size) || size == 0 || size == sizeof answer) return;
    leave(call(SYS_write, 1, (word) answer, size, 0) == size ? 0 : 1);
}

/*
 * A shim's `start` becomes its server: the caller waits for this process, and the other one goes on. It writes a byte
 * when the caller has its answer: ffi/launch.ts, startPipe. Gives the number of the pipe, in the child alone.
 */
static word become_server(void) {
    int pipe[2];
    if (FAILED(call(SYS_pipe2, (word) pipe, 0, 0, 0))) fail("cannot make a pipe", "");
    word child = call(SYS_clone, 17, 0, 0, 0);
    if (FAILED(child)) fail("cannot start the shim's server", "");
    if (child == 0) {
        call(SYS_close, (word) pipe[0], 0, 0, 0);
        call(SYS_setsid, 0, 0, 0, 0);
        return (word) pipe[1];
    }
    call(SYS_close, (word) pipe[1], 0, 0, 0);
    char answered;
    word size;
    do size = call(SYS_read, (word) pipe[0], (word) &answered, 1, 0); while (size == (word) -4);
    leave(size == 1 ? 0 : 1);
}

__attribute__((noreturn, used)) void launch(word *stack) {
    word argc = stack[0];
    char **argv = (char **) (stack + 1);
    char **envp = argv + argc + 1;
    char home[PATH_BYTES + 32], deno[PATH_BYTES + 64], script[PATH_BYTES + 128], cache[PATH_BYTES + 64];
    char about[192], name[PATH_BYTES + 16], renamed[RENAMED_BYTES], start[48];
    char *arguments[ENTRIES_MAX + 16], *environment[ENTRIES_MAX + 8];

    word size = call(SYS_readlinkat, (word) -100, (word) "/proc/self/exe", (word) home, PATH_BYTES);
    if (FAILED(size)) fail("cannot find its own file: is /proc mounted?", "");
    home[size] = 0;
    for (int slashes = 0; size > 0 && slashes < 2; ) if (home[--size] == '/') slashes++;
    append(home + size, "/lib/barge");
    append(append(deno, home), "/deno");
    append(append(append(cache, "DENO_DIR="), home), "/cache");

    /* Deno cannot start in a directory that was removed. */
    if (FAILED(call(SYS_getcwd, (word) name, PATH_BYTES, 0, 0))) {
        call(SYS_chdir, (word) "/", 0, 0, 0);
        append(name, "/");
    }

    describe(about);
    if (argc == 0 || length(argv[0]) >= PATH_BYTES) fail("called without a usable name", "");
    const char *called = argv[0];
    for (const char *c = called; *c; c++) if (*c == '/') called = c + 1;
    start[0] = 0;
    if (begins(called, "containerd-shim-") && argc > 1) {
        if (same(argv[argc - 1], "delete")) answer_deleted(argc, argv, name);
        if (same(argv[argc - 1], "start")) append_hex(append(start, "BARGE_START="), become_server());
    }
    append(append(name, "BARGE_ARGV0="), argv[0]);

    word first = 1;
    if (!own_script(script, home, called)) {
        if (argc > 1 && own_script(script, home, argv[1])) first = 2;
        else append(append(script, home), "/main.js");
    }

    word n = 0;
    environment[n++] = about;
    environment[n++] = name;
    environment[n++] = cache;
    environment[n++] = (char *) "DENO_NO_UPDATE_CHECK=1";
    if (start[0]) environment[n++] = start;
    char *free = renamed;
    for (; *envp; envp++) {
        if (begins(*envp, "BARGE_LAUNCH=") || begins(*envp, "BARGE_ARGV0=") || begins(*envp, "BARGE_ENV_") ||
            begins(*envp, "BARGE_START=")) continue;
        if (n >= ENTRIES_MAX) fail("the environment has more than 8192 variables", "");
        if (!is_denos(*envp)) {
            environment[n++] = *envp;
            continue;
        }
        if (free + length(*envp) + 16 > renamed + RENAMED_BYTES) fail("the variables for Deno exceed 64 KiB", "");
        environment[n++] = free;
        free = append(append(free, "BARGE_ENV_"), *envp) + 1;
    }
    environment[n] = 0;

    /* What ends after some milliseconds has no use for V8's compilers, which take two of them: tools/install/warm.ts. */
    const char *word_called = first == 2 ? argv[1] : called;
    int brief = same(word_called, "oci") || same(word_called, "runc");
    static const char *const fixed[] = { "run", "--allow-all", "--no-config", "--no-lock", "--no-npm", "--cached-only",
        "--quiet" };
    n = 0;
    arguments[n++] = deno;
    for (word i = 0; i < sizeof fixed / sizeof *fixed; i++) arguments[n++] = (char *) fixed[i];
    arguments[n++] = (char *) (brief ? "--v8-flags=--no-lazy,--no-sparkplug,--no-maglev,--no-opt,--single-threaded"
        : "--v8-flags=--no-lazy,--max-semi-space-size=2");
    arguments[n++] = script;
    if (argc > ENTRIES_MAX) fail("more than 8192 arguments", "");
    for (word i = first; i < argc; i++) arguments[n++] = argv[i];
    arguments[n] = 0;
    call(SYS_execve, (word) deno, (word) arguments, (word) environment, 0);
    fail("cannot start Deno, which should be ", deno);
}
