/**
 * The kernel's constants by name. A pair is [x86_64, aarch64]; one number holds for both.
 *
 * A test compiles every line against the headers of both architectures; what Debian's headers do not have yet is
 * listed there with its value.
 *
 * @module
 */
import { type Arch, hostArch } from "./arch.ts";

/** Name → value. */
export const constants = {
  // open(2), openat2(2)
  O_RDONLY: 0,
  O_WRONLY: 1,
  O_RDWR: 2,
  O_CREAT: 0o100,
  O_EXCL: 0o200,
  O_NOCTTY: 0o400,
  O_TRUNC: 0o1000,
  O_APPEND: 0o2000,
  O_NONBLOCK: 0o4000,
  O_DIRECTORY: [0o200000, 0o40000],
  O_NOFOLLOW: [0o400000, 0o100000],
  O_CLOEXEC: 0o2000000,
  O_PATH: 0o10000000,
  RESOLVE_NO_XDEV: 0x01,
  RESOLVE_NO_MAGICLINKS: 0x02,
  RESOLVE_NO_SYMLINKS: 0x04,
  RESOLVE_BENEATH: 0x08,
  RESOLVE_IN_ROOT: 0x10,
  AT_FDCWD: -100,
  AT_SYMLINK_NOFOLLOW: 0x100,
  AT_EACCESS: 0x200,
  AT_EMPTY_PATH: 0x1000,
  AT_RECURSIVE: 0x8000,
  X_OK: 1,
  // File types of mknod(2)
  S_IFMT: 0o170000,
  S_IFREG: 0o100000,
  S_IFCHR: 0o020000,
  S_IFBLK: 0o060000,
  S_IFIFO: 0o010000,
  // fcntl(2)
  F_DUPFD: 0,
  F_DUPFD_CLOEXEC: 1030,
  F_GETFL: 3,
  F_SETFL: 4,
  F_SETPIPE_SZ: 1031,
  F_ADD_SEALS: 1033,
  F_SEAL_SEAL: 0x1,
  F_SEAL_SHRINK: 0x2,
  F_SEAL_GROW: 0x4,
  F_SEAL_WRITE: 0x8,
  MFD_CLOEXEC: 0x1,
  MFD_ALLOW_SEALING: 0x2,
  MFD_EXEC: 0x10,
  LOCK_SH: 1,
  LOCK_EX: 2,
  LOCK_NB: 4,
  LOCK_UN: 8,
  // splice(2), pipe(7)
  SPLICE_F_MOVE: 1,
  SPLICE_F_NONBLOCK: 2,
  FIONREAD: 0x541b,
  // mmap(2)
  PROT_READ: 1,
  PROT_WRITE: 2,
  PROT_EXEC: 4,
  MAP_SHARED: 1,
  MAP_PRIVATE: 2,
  MAP_ANONYMOUS: 0x20,
  MADV_DONTNEED: 4,
  MADV_DONTFORK: 10,
  // clone3(2), unshare(2), setns(2)
  CLONE_NEWTIME: 0x80,
  CLONE_FS: 0x200,
  CLONE_PIDFD: 0x1000,
  CLONE_PARENT: 0x8000,
  CLONE_NEWNS: 0x20000,
  CLONE_PARENT_SETTID: 0x100000,
  CLONE_NEWCGROUP: 0x2000000,
  CLONE_NEWUTS: 0x4000000,
  CLONE_NEWIPC: 0x8000000,
  CLONE_NEWUSER: 0x10000000,
  CLONE_NEWPID: 0x20000000,
  CLONE_NEWNET: 0x40000000,
  CLONE_CLEAR_SIGHAND: 0x100000000,
  CLONE_INTO_CGROUP: 0x200000000,
  // ioctl_ns(2)
  NS_GET_USERNS: 0xb701,
  // mount API
  MS_RDONLY: 1,
  MS_NOSUID: 2,
  MS_NODEV: 4,
  MS_NOEXEC: 8,
  MS_SYNCHRONOUS: 16,
  MS_REMOUNT: 32,
  MS_MANDLOCK: 64,
  MS_DIRSYNC: 128,
  MS_MOVE: 0x2000,
  MS_NOATIME: 0x400,
  MS_NODIRATIME: 0x800,
  MS_BIND: 0x1000,
  MS_RELATIME: 0x200000,
  MS_STRICTATIME: 0x1000000,
  LOOP_CTL_GET_FREE: 0x4c82,
  LOOP_CONFIGURE: 0x4c0a,
  LO_FLAGS_READ_ONLY: 1,
  LO_FLAGS_AUTOCLEAR: 4,
  LO_FLAGS_DIRECT_IO: 16,
  MS_REC: 0x4000,
  MS_SHARED: 0x100000,
  MS_PRIVATE: 0x40000,
  MS_SLAVE: 0x80000,
  MS_UNBINDABLE: 0x20000,
  MNT_DETACH: 2,
  UMOUNT_NOFOLLOW: 8,
  OPEN_TREE_CLONE: 1,
  OPEN_TREE_CLOEXEC: 0o2000000,
  MOVE_MOUNT_F_EMPTY_PATH: 0x4,
  MOVE_MOUNT_T_EMPTY_PATH: 0x40,
  FSOPEN_CLOEXEC: 1,
  FSMOUNT_CLOEXEC: 1,
  FSCONFIG_SET_FLAG: 0,
  FSCONFIG_SET_STRING: 1,
  FSCONFIG_SET_FD: 5,
  FSCONFIG_CMD_CREATE: 6,
  MOUNT_ATTR_RDONLY: 0x1,
  MOUNT_ATTR_NOSUID: 0x2,
  MOUNT_ATTR_NODEV: 0x4,
  MOUNT_ATTR_NOEXEC: 0x8,
  MOUNT_ATTR__ATIME: 0x70,
  MOUNT_ATTR_RELATIME: 0,
  MOUNT_ATTR_NOATIME: 0x10,
  MOUNT_ATTR_STRICTATIME: 0x20,
  MOUNT_ATTR_NODIRATIME: 0x80,
  MOUNT_ATTR_IDMAP: 0x100000,
  MOUNT_ATTR_NOSYMFOLLOW: 0x200000,
  // prctl(2)
  PR_SET_PDEATHSIG: 1,
  PR_SET_DUMPABLE: 4,
  PR_SET_KEEPCAPS: 8,
  PR_SET_SECCOMP: 22,
  PR_CAPBSET_DROP: 24,
  PR_SET_MM: 35,
  PR_SET_MM_MAP: 14,
  PR_SET_CHILD_SUBREAPER: 36,
  PR_SET_NO_NEW_PRIVS: 38,
  PR_CAP_AMBIENT: 47,
  PR_CAP_AMBIENT_RAISE: 2,
  PR_CAP_AMBIENT_CLEAR_ALL: 4,
  SECCOMP_SET_MODE_FILTER: 1,
  SECCOMP_FILTER_FLAG_LOG: 2,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW: 4,
  // signals and waiting
  SIG_SETMASK: 2,
  SIGHUP: 1,
  SIGKILL: 9,
  SIGTERM: 15,
  SIGCHLD: 17,
  P_ALL: 0,
  P_PIDFD: 3,
  PIDFD_GET_INFO: 0xc040ff0b,
  PIDFD_INFO_EXIT: 8,
  WNOHANG: 1,
  WEXITED: 4,
  WNOWAIT: 0x1000000,
  CLD_EXITED: 1,
  // terminals
  TCGETS: 0x5401,
  TCSETS: 0x5402,
  TIOCSCTTY: 0x540e,
  TIOCGWINSZ: 0x5413,
  TIOCSWINSZ: 0x5414,
  TIOCSPTLCK: 0x40045431,
  TIOCGPTPEER: 0x5441,
  // sockets
  AF_UNIX: 1,
  AF_INET: 2,
  SOCK_STREAM: 1,
  SOCK_DGRAM: 2,
  SOCK_SEQPACKET: 5,
  SOCK_CLOEXEC: 0o2000000,
  SOCK_NONBLOCK: 0o4000,
  SOL_SOCKET: 1,
  SO_PEERCRED: 17,
  SO_ACCEPTCONN: 30,
  SCM_RIGHTS: 1,
  MSG_NOSIGNAL: 0x4000,
  MSG_CMSG_CLOEXEC: 0x40000000,
  SIOCSIFFLAGS: 0x8914,
  IFF_UP: 1,
  // epoll(7)
  EPOLLIN: 0x1,
  EPOLLOUT: 0x4,
  EPOLLERR: 0x8,
  EPOLLHUP: 0x10,
  EPOLLET: 0x80000000,
  EPOLL_CTL_ADD: 1,
  EPOLL_CTL_DEL: 2,
  EPOLL_CTL_MOD: 3,
  // keyctl(2)
  KEYCTL_JOIN_SESSION_KEYRING: 1,
  KEYCTL_SETPERM: 5,
  KEYCTL_DESCRIBE: 6,
  // rseq(2)
  RSEQ_FLAG_UNREGISTER: 1,
  // getrlimit(2)
  RLIMIT_CPU: 0,
  RLIMIT_FSIZE: 1,
  RLIMIT_DATA: 2,
  RLIMIT_STACK: 3,
  RLIMIT_CORE: 4,
  RLIMIT_RSS: 5,
  RLIMIT_NPROC: 6,
  RLIMIT_NOFILE: 7,
  RLIMIT_MEMLOCK: 8,
  RLIMIT_AS: 9,
  RLIMIT_LOCKS: 10,
  RLIMIT_SIGPENDING: 11,
  RLIMIT_MSGQUEUE: 12,
  RLIMIT_NICE: 13,
  RLIMIT_RTPRIO: 14,
  RLIMIT_RTTIME: 15,
} as const satisfies Record<string, number | readonly [number, number]>;

/** Name of a constant. */
export type ConstantName = keyof typeof constants;

/** Value of a constant on an architecture. */
export function constant(name: ConstantName, arch: Arch = hostArch): number {
  const value: number | readonly [number, number] = constants[name];
  return typeof value === "object" ? value[arch === "x86_64" ? 0 : 1] : value;
}

/** The sum of some flags, no two of which share a bit; exact up to 2^53. */
export function sumOf(names: readonly ConstantName[], arch: Arch = hostArch): number {
  let sum = 0;
  for (const name of names) sum += constant(name, arch);
  return sum;
}

/** The sum of some flags for this machine. */
export function flags(...names: ConstantName[]): number {
  return sumOf(names);
}
