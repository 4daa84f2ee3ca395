/**
 * Arguments of system calls as people read them.
 *
 * @module
 */
import { type Arg, Data, Flags, Given, Slot, type Step } from "./program.ts";

function formatArg(arg: Arg): string {
  if (typeof arg === "string") return JSON.stringify(arg);
  if (arg instanceof Data) return arg.shown;
  if (arg instanceof Flags) return arg.names.join("|") || "0";
  if (arg instanceof Given) return `<${arg.name}>`;
  if (arg instanceof Slot) return `$${arg.name}`;
  return arg.toString();
}

/** Arguments that are file modes or device numbers read best in octal: call → index. */
const octal: Readonly<Record<string, number>> = { mkdirat: 2, mknodat: 2, umask: 0 };

/** Arguments that are descriptors: call → index. */
const descriptors: Readonly<Record<string, number>> = {
  dup3: 1,
  fchdir: 0,
  ioctl: 0,
  move_mount: 0,
  read: 0,
  sendmsg: 0,
  setns: 0,
  write: 0,
};

/** The arguments as text. A descriptor with a fixed number has its name behind it, as `strace -y` shows paths. */
export function formatArguments({ call, args }: Step, names: ReadonlyMap<number, string> = new Map()): string[] {
  return args.map((arg, index) => {
    if (typeof arg !== "number") return formatArg(arg);
    if (octal[call] === index) return `0${arg.toString(8)}`;
    const name = descriptors[call] === index ? names.get(arg) : undefined;
    return name === undefined ? formatArg(arg) : `${arg}<${name}>`;
  });
}
