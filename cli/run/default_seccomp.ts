/**
 * Which system calls a container may use unless it is told otherwise: what docker's default profile allows, arranged
 * by topic. Everything else fails with EPERM; what is newer than this list fails with ENOSYS, so that programs fall
 * back (the compiler adds that).
 *
 * Names that an architecture lacks are skipped there: one list serves all.
 *
 * @module
 */
import type { ProfileRule, SeccompProfile } from "./seccomp_profile.ts";

const files = [
  "open openat openat2 creat close close_range dup dup2 dup3 read readv write writev lseek _llseek",
  "pread64 preadv preadv2 pwrite64 pwritev pwritev2 sendfile sendfile64 copy_file_range splice tee vmsplice",
  "fcntl fcntl64 flock ioctl fsync fdatasync sync syncfs sync_file_range readahead fadvise64 fadvise64_64 fallocate",
  "ftruncate ftruncate64 truncate truncate64 cachestat",
].join(" ");

const names = [
  "access faccessat faccessat2 stat stat64 lstat lstat64 fstat fstat64 newfstatat fstatat64 statx",
  "statfs statfs64 fstatfs fstatfs64 chdir fchdir getcwd getdents getdents64 readlink readlinkat",
  "mkdir mkdirat rmdir mknod mknodat link linkat symlink symlinkat unlink unlinkat rename renameat renameat2",
  "chmod fchmod fchmodat fchmodat2 umask chown chown32 fchown fchown32 fchownat lchown lchown32",
  "utime utimes utimensat utimensat_time64 futimesat name_to_handle_at",
  "getxattr lgetxattr fgetxattr getxattrat setxattr lsetxattr fsetxattr setxattrat",
  "listxattr llistxattr flistxattr listxattrat removexattr lremovexattr fremovexattr removexattrat",
].join(" ");

const waitingForFiles = [
  "poll ppoll ppoll_time64 select _newselect pselect6 pselect6_time64",
  "epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_wait epoll_wait_old epoll_pwait epoll_pwait2",
  "eventfd eventfd2 signalfd signalfd4 timerfd_create timerfd_gettime timerfd_gettime64",
  "timerfd_settime timerfd_settime64 pipe pipe2",
  "inotify_init inotify_init1 inotify_add_watch inotify_rm_watch fanotify_mark",
  "io_setup io_destroy io_submit io_cancel io_getevents io_pgetevents io_pgetevents_time64",
].join(" ");

const memory = [
  "brk mmap mmap2 munmap mremap mprotect msync madvise mincore mseal remap_file_pages",
  "mlock mlock2 mlockall munlock munlockall pkey_alloc pkey_free pkey_mprotect",
  "memfd_create memfd_secret membarrier map_shadow_stack",
].join(" ");

/** clone and clone3 depend on capabilities, see below. */
const processes = [
  "execve execveat exit exit_group fork vfork wait4 waitid waitpid pidfd_open pidfd_send_signal process_mrelease",
  "getpid getppid gettid getpgid getpgrp setpgid getsid setsid prctl rseq set_tid_address restart_syscall",
  "get_thread_area set_thread_area get_robust_list set_robust_list getcpu uname sysinfo getrandom",
  "getpriority setpriority ioprio_get ioprio_set getrlimit ugetrlimit setrlimit prlimit64 getrusage times",
  "sched_yield sched_getaffinity sched_setaffinity sched_getattr sched_setattr sched_getparam sched_setparam",
  "sched_getscheduler sched_setscheduler sched_get_priority_max sched_get_priority_min",
  "sched_rr_get_interval sched_rr_get_interval_time64 uretprobe",
].join(" ");

/** A process may always take rights from itself. */
const identity = [
  "getuid getuid32 geteuid geteuid32 getgid getgid32 getegid getegid32 getgroups getgroups32",
  "getresuid getresuid32 getresgid getresgid32 setuid setuid32 setgid setgid32 setgroups setgroups32",
  "setreuid setreuid32 setregid setregid32 setresuid setresuid32 setresgid setresgid32",
  "setfsuid setfsuid32 setfsgid setfsgid32 capget capset",
  "seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self",
].join(" ");

const signalsAndClocks = [
  "kill tkill tgkill pause alarm sigaltstack sigprocmask sigreturn",
  "rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_tgsigqueueinfo rt_sigreturn rt_sigsuspend",
  "rt_sigtimedwait rt_sigtimedwait_time64 nanosleep getitimer setitimer time gettimeofday",
  "clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep clock_nanosleep_time64",
  // Reading the adjustment needs no right, and changing it needs CAP_SYS_TIME by the kernel's own check.
  "adjtimex clock_adjtime clock_adjtime64",
  "timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64",
].join(" ");

/** socket itself has a condition, see below. */
const communication = [
  "socketcall socketpair bind connect listen accept accept4 shutdown getpeername getsockname getsockopt setsockopt",
  "send sendto sendmsg sendmmsg recv recvfrom recvmsg recvmmsg recvmmsg_time64",
  "ipc msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget",
  "mq_open mq_unlink mq_notify mq_getsetattr mq_timedsend mq_timedsend_time64 mq_timedreceive mq_timedreceive_time64",
  "futex futex_time64 futex_waitv futex_wait futex_wake futex_requeue",
].join(" ");

/** What the kernel would refuse without the capability anyway: the filter closes the code below that check too. */
const withCapability: readonly [capability: string, names: string][] = [
  ["CAP_DAC_READ_SEARCH", "open_by_handle_at"],
  [
    "CAP_SYS_ADMIN",
    "mount umount umount2 mount_setattr move_mount open_tree fsopen fsconfig fsmount fspick clone clone3 unshare setns " +
    "bpf perf_event_open fanotify_init lookup_dcookie quotactl quotactl_fd setdomainname sethostname syslog",
  ],
  ["CAP_BPF", "bpf"],
  ["CAP_PERFMON", "perf_event_open"],
  ["CAP_SYSLOG", "syslog"],
  ["CAP_SYS_BOOT", "reboot"],
  ["CAP_SYS_CHROOT", "chroot"],
  ["CAP_SYS_MODULE", "init_module finit_module delete_module"],
  ["CAP_SYS_NICE", "get_mempolicy set_mempolicy set_mempolicy_home_node mbind"],
  ["CAP_SYS_PACCT", "acct"],
  ["CAP_SYS_PTRACE", "kcmp pidfd_getfd process_madvise"],
  ["CAP_SYS_RAWIO", "iopl ioperm"],
  ["CAP_SYS_TIME", "settimeofday stime clock_settime clock_settime64"],
  ["CAP_SYS_TTY_CONFIG", "vhangup"],
];

const withArch: readonly [arches: string, names: string][] = [
  ["amd64", "arch_prctl modify_ldt"],
  ["arm64", "arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls"],
];

/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET of clone(2). */
const newNamespaces = 0x7e02_0000;
const vsockFamily = 40;
const enosys = 38;

/** Linux and Linux32, each with and without UNAME26, and the question which one it is. */
const personalities = [0x0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];

const allow = "SCMP_ACT_ALLOW";

function conditional(): ProfileRule[] {
  const caps = ["CAP_SYS_ADMIN"];
  return [
    // Before 4.8 a tracer could change the call after the filter had seen it.
    { names: ["ptrace", "process_vm_readv", "process_vm_writev"], action: allow, includes: { minKernel: "4.8" } },
    {
      names: ["ptrace", "process_vm_readv", "process_vm_writev"],
      action: allow,
      includes: { caps: ["CAP_SYS_PTRACE"] },
    },
    // vsock reaches the hypervisor, whatever network namespace it is called in.
    { names: ["socket"], action: allow, args: [{ index: 0, value: vsockFamily, op: "SCMP_CMP_NE" }] },
    ...personalities.map((value) => ({
      names: ["personality"],
      action: allow,
      args: [{ index: 0, value, op: "SCMP_CMP_EQ" }],
    })),
    {
      names: ["clone"],
      action: allow,
      args: [{ index: 0, value: newNamespaces, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" }],
      excludes: { caps },
    },
    // The flags of clone3 are in memory, where a filter cannot look: ENOSYS makes C libraries use clone.
    { names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: enosys, excludes: { caps } },
  ];
}

/** The profile; resolve it for a container with `resolveProfile()`. */
export function defaultSeccomp(): SeccompProfile {
  const always = [files, names, waitingForFiles, memory, processes, identity, signalsAndClocks, communication];
  return {
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: 1,
    archMap: [
      { architecture: "SCMP_ARCH_X86_64", subArchitectures: ["SCMP_ARCH_X86", "SCMP_ARCH_X32"] },
      { architecture: "SCMP_ARCH_AARCH64", subArchitectures: ["SCMP_ARCH_ARM"] },
    ],
    syscalls: [
      { names: always.join(" ").split(" "), action: allow },
      ...withArch.map(([arches, list]) => ({
        names: list.split(" "),
        action: allow,
        includes: { arches: arches.split(" ") },
      })),
      ...withCapability.map(([capability, list]) => ({
        names: list.split(" "),
        action: allow,
        includes: { caps: [capability] },
      })),
      ...conditional(),
    ],
  };
}
