/**
 * The flags of the daemon; names and meanings are containerd's.
 *
 * @module
 */
import type { FlagTable } from "../flags.ts";

/** Levels that `--log-level` takes, the weightiest last. */
export const logLevels = ["trace", "debug", "info", "warn", "error", "fatal", "panic"] as const;

/** Where the configuration is, unless `--config` says otherwise. */
export const defaultConfigPath = "/etc/containerd/config.toml";

/** Flags before the sub-command. */
export const daemonFlags = {
  config: {
    kind: "value",
    short: "c",
    value: "FILE",
    help: `Path to the configuration file (default: ${defaultConfigPath})`,
  },
  logLevel: { kind: "choice", short: "l", choices: logLevels, help: "Set the logging level" },
  address: { kind: "value", short: "a", value: "SOCKET", help: "Address for the gRPC server" },
  root: { kind: "value", value: "DIR", help: "Root directory: what is kept" },
  state: { kind: "value", value: "DIR", help: "State directory: what lasts as long as the machine runs" },
  version: { kind: "boolean", short: "v", help: "Print the version" },
} as const satisfies FlagTable;
