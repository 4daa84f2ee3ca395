/**
 * Stands for criu in tests on hosts whose kernels it does not know: it speaks its protocol, notes down what it is asked
 * for, and then fails, or does as if. `fake_criu.ts DIRECTORY swrk 3`; the directory has `plan.json`, and gets
 * `requests.jsonl`.
 *
 * @module
 */
import { writeOnce } from "../../ffi/descriptor.ts";
import { receivePacket } from "../../ffi/packet_socket.ts";
import { type Request, request, requestTypes, type Response, response } from "../../shim/oci/criu/messages.ts";
import { decode, encode } from "../../shim/oci/criu/wire.ts";

/** What is to happen. */
export interface FakePlan {
  /** Lines of the log of a dump or a restoration, which then fails. */
  readonly fails?: string;
  /** What it can do; everything without. */
  readonly lacks?: "memoryTracking" | "lazyPages";
  /** It ends without an answer. */
  readonly vanishes?: boolean;
}

/** One entry of `requests.jsonl`. */
export interface FakeRequest {
  readonly request: Request;
  /** Where the images and the logs go. */
  readonly images: string;
  readonly work: string;
}

const socket = 3;

function answer(message: Response): void {
  writeOnce(socket, encode(response, message));
}

/** Tells of a place on the way, and waits until the runtime has done its part. */
function tell(script: string): void {
  answer({ type: requestTypes.notify, success: true, notify: { script, pid: 0 } });
  const packet = receivePacket(socket, 65_536);
  const { notifySuccess } = decode(request, packet?.bytes ?? new Uint8Array());
  if (notifySuccess !== true) Deno.exit(1);
}

function perform(plan: FakePlan, asked: Request): number {
  const { type = 0, options, features } = asked;
  if (type === requestTypes.version) {
    answer({ type, success: true, version: { major: 3, minor: 17, sublevel: 1 } });
    return 0;
  }
  if (type === requestTypes.featureCheck) {
    const able = Object.keys(features ?? {}).map((name) => [name, name !== plan.lacks]);
    answer({ type, success: true, features: Object.fromEntries(able) });
    return 0;
  }
  if (plan.vanishes) return 1;
  if (plan.fails !== undefined) {
    const work = `/proc/${Deno.ppid}/fd/${options?.workDirectory ?? options?.imagesDirectory}`;
    Deno.writeTextFileSync(`${work}/${options?.logFile}`, plan.fails);
    answer({ type, success: false, errno: 5, message: "said by criu\n" });
    return 1;
  }
  for (const script of ["pre-dump", "network-lock", "post-dump", "network-unlock"]) tell(script);
  if (options?.lazyPages) tell("status-ready");
  const goesOn = options?.leaveRunning === true || type === requestTypes.preDump;
  if (!goesOn) Deno.kill(options?.pid ?? 0, "SIGKILL");
  answer({ type, success: true });
  // As criu does, which waits for the next dump and finds the end instead.
  return type === requestTypes.preDump ? 1 : 0;
}

function main(directory: string): number {
  // Written by the test.
  const plan = JSON.parse(Deno.readTextFileSync(`${directory}/plan.json`)) as FakePlan;
  const packet = receivePacket(socket, 65_536);
  if (packet === undefined) return 1;
  const asked = decode(request, packet.bytes);
  const name = (fd: number | undefined): string =>
    fd === undefined ? "" : Deno.readLinkSync(`/proc/${Deno.ppid}/fd/${fd}`);
  const entry: FakeRequest = {
    request: asked,
    images: name(asked.options?.imagesDirectory),
    work: name(asked.options?.workDirectory),
  };
  Deno.writeTextFileSync(`${directory}/requests.jsonl`, JSON.stringify(entry) + "\n", { append: true });
  return perform(plan, asked);
}

if (import.meta.main) Deno.exit(main(Deno.args[0]!));
