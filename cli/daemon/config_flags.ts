/**
 * The flags of `config` and its commands.
 *
 * @module
 */
import type { FlagTable } from "../flags.ts";

const config = {
  kind: "value",
  short: "c",
  value: "FILE",
  help: "The configuration (default: /etc/containerd/config.toml, where there is one)",
} as const;

/** Flags of `config`, before its command. */
export const configFlags = { config } as const satisfies FlagTable;

/** Flags of `config default`. */
export const defaultFlags = {
  explain: { kind: "boolean", help: "Say behind each value what it is for" },
} as const satisfies FlagTable;

/** Flags of `config dump`. */
export const dumpFlags = {
  config,
  origins: { kind: "boolean", help: "Say behind each value in which file and line it was written" },
} as const satisfies FlagTable;

/** Flags of `config migrate`. */
export const migrateFlags = { config } as const satisfies FlagTable;

/** Flags of `config check`. */
export const checkFlags = { config } as const satisfies FlagTable;
