/**
 * The shim's flags, as containerd gives them.
 *
 * @module
 */
import type { FlagTable } from "../flags.ts";

/** See containerd's `pkg/shim`. */
export const shimFlags = {
  namespace: { kind: "value", value: "NAME", default: "", help: "namespace of the container" },
  id: { kind: "value", value: "ID", default: "", help: "id of the container" },
  address: { kind: "value", value: "PATH", default: "", help: "gRPC socket of containerd" },
  publishBinary: { kind: "value", value: "PATH", default: "", help: "program that publishes events" },
  bundle: { kind: "value", value: "DIR", default: "", help: "bundle of the container, for delete" },
  socket: { kind: "value", value: "PATH", default: "", help: "socket to serve" },
  debugSocket: { kind: "value", value: "PATH", default: "", help: "socket that shows what the shim does" },
  debug: { kind: "boolean", help: "write more to the log" },
  version: { kind: "boolean", short: "v", help: "print the version" },
  info: { kind: "boolean", help: "print what the runtime can do, as protobuf" },
} as const satisfies FlagTable;
