/**
 * The flags of `checkpoint` and `restore`; names and meanings are runc's.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import type { FlagTable } from "../flags.ts";

const both = {
  imagePath: { kind: "value", value: "DIR", help: "Directory of the images (default: ./checkpoint)" },
  workPath: { kind: "value", value: "DIR", help: "Directory of logs (default: that of the images)" },
  tcpEstablished: { kind: "boolean", help: "Save and restore TCP connections" },
  extUnixSk: { kind: "boolean", help: "Allow connections to unix sockets outside" },
  shellJob: { kind: "boolean", help: "Allow a terminal of the caller's" },
  fileLocks: { kind: "boolean", help: "Save and restore locks of files" },
  lazyPages: { kind: "boolean", help: "Bring memory when it is touched (userfaultfd)" },
  manageCgroupsMode: { kind: "value", value: "soft|full|strict|ignore", default: "", help: "What is done to cgroups" },
  emptyNs: { kind: "list", value: "network", help: "Make a namespace of this type, without its properties" },
  autoDedup: { kind: "boolean", help: "Give the space of images back that are not needed any more" },
} as const satisfies FlagTable;

/** Flags of `checkpoint`. */
export const checkpointFlags = {
  ...both,
  parentPath: { kind: "value", value: "DIR", help: "Images of the last --pre-dump, relative to --image-path" },
  leaveRunning: { kind: "boolean", help: "Let the container run on" },
  statusFd: { kind: "value", value: "N", parse: parseDescriptor, help: "Write a zero byte here when pages can be had" },
  pageServer: { kind: "value", value: "ADDRESS:PORT", parse: parsePageServer, help: "Send memory to this server" },
  keep: { kind: "boolean", hidden: true, help: "Leave an ended container's state to who has made it" },
  preDump: { kind: "boolean", help: "Save memory alone, and let the container run on" },
} as const satisfies FlagTable;

/** Flags of `restore`. */
export const restoreFlags = {
  ...both,
  bundle: { kind: "value", short: "b", value: "DIR", help: "The bundle (default: the working directory)" },
  consoleSocket: { kind: "value", value: "SOCKET", help: "Socket that receives the terminal's master" },
  pidFile: { kind: "value", value: "FILE", help: "Write the process id of init to this file" },
  detach: { kind: "boolean", short: "d", help: "Return when the container runs" },
  noSubreaper: { kind: "boolean", help: "Leave orphans of the container to others" },
  noPivot: { kind: "boolean", help: "Refused: criu changes the root by pivot_root" },
  lsmProfile: { kind: "value", value: "TYPE:NAME", help: "Another profile of the LSM than before" },
  lsmMountContext: { kind: "value", value: "CONTEXT", help: "Another context of mounts than before" },
} as const satisfies FlagTable;

function parseDescriptor(text: string): number {
  if (!/^\d{1,7}$/.test(text)) throw new Failure("InvalidArgument", "want the number of a descriptor");
  return Number(text);
}

/** `ADDRESS:PORT`, `[ADDRESS]:PORT`. */
function parsePageServer(text: string): { address: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  if (match === null) throw new Failure("InvalidArgument", "Use --page-server ADDRESS:PORT to specify page server");
  return { address: match[1] ?? match[2]!, port: Number(match[3]) };
}
