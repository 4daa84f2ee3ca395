/**
 * The messages of criu's service, as far as a runtime needs them (criu `images/rpc.proto`, from criu 3.0 on).
 *
 * @module
 */
import { many, type Message, one } from "./wire.ts";

/** Types of requests and of their answers (criu_req_type). */
export const requestTypes = { dump: 1, restore: 2, preDump: 4, notify: 6, featureCheck: 9, version: 10 } as const;

/** How cgroups are dumped and restored (criu_cg_mode). */
export const cgroupModes = { ignore: 0, soft: 3, full: 4, strict: 5, "": 6 } as const;

const pageServer = { address: one(1, "text"), port: one(2, "int") };
const keyAndValue = { key: one(1, "text"), value: one(2, "text") };
const inherited = { key: one(1, "text"), fd: one(2, "int") };
const joined = { type: one(1, "text"), path: one(2, "text") };
const cgroupRoot = { controller: one(1, "text"), path: one(2, "text") };

const options = {
  imagesDirectory: one(1, "int"),
  pid: one(2, "int"),
  leaveRunning: one(3, "bool"),
  extUnixSk: one(4, "bool"),
  tcpEstablished: one(5, "bool"),
  evasiveDevices: one(6, "bool"),
  shellJob: one(7, "bool"),
  fileLocks: one(8, "bool"),
  logLevel: one(9, "int"),
  logFile: one(10, "text"),
  pageServer: one(11, pageServer),
  notifies: one(12, "bool"),
  root: one(13, "text"),
  parentImage: one(14, "text"),
  trackMemory: one(15, "bool"),
  autoDedup: one(16, "bool"),
  workDirectory: one(17, "int"),
  externalMounts: many(23, keyAndValue),
  manageCgroups: one(24, "bool"),
  cgroupRoots: many(25, cgroupRoot),
  restoreSibling: one(26, "bool"),
  inherited: many(27, inherited),
  manageCgroupsMode: one(34, "int"),
  external: many(37, "text"),
  emptyNamespaces: one(38, "int"),
  joined: many(39, joined),
  freezeCgroup: one(44, "text"),
  lazyPages: one(48, "bool"),
  statusFd: one(49, "int"),
  orphanTerminal: one(50, "bool"),
  configFile: one(51, "text"),
  lsmProfile: one(53, "text"),
  lsmMountContext: one(63, "text"),
};

const features = { memoryTracking: one(1, "bool"), lazyPages: one(2, "bool") };

/** criu_req. */
export const request = {
  type: one(1, "int"),
  options: one(2, options),
  notifySuccess: one(3, "bool"),
  features: one(5, features),
};

/** criu_resp. */
export const response = {
  type: one(1, "int"),
  success: one(2, "bool"),
  notify: one(5, { script: one(1, "text"), pid: one(2, "int") }),
  errno: one(7, "int"),
  features: one(8, features),
  message: one(9, "text"),
  version: one(10, {
    major: one(1, "int"),
    minor: one(2, "int"),
    commit: one(3, "text"),
    sublevel: one(4, "int"),
  }),
};

/** What is asked of criu. */
export type Request = Message<typeof request>;
/** What criu answers, and what it tells on the way. */
export type Response = Message<typeof response>;
/** The options of a dump or a restore. */
export type RequestOptions = Message<typeof options>;
/** What a kernel and criu may both be able to do. */
export type Features = Message<typeof features>;
