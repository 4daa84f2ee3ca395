/**
 * Sessions of clients for fuzzing: valid ones, and what is made of them.
 *
 * @module
 */
import {
  errorCodes,
  frame,
  frameFlags,
  frameTypes,
  goAwayFrame,
  numberFrame,
  preface,
  settings,
  settingsFrame,
} from "../../api/grpc/frames.ts";
import type { Field } from "../../api/grpc/hpack/static_table.ts";
import { downRequest } from "./echo.ts";
import { callFields, dataFrame, headersFrame, prefixed } from "./raw_client.ts";

/** Gives a whole number below its argument. */
export type Random = (below: number) => number;

/** A generator that gives the same numbers for the same seed (linear congruence). */
export function randomOf(seed: number): Random {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor(state / 2 ** 32 * below);
  };
}

/** One of the list. */
export function oneOf<T>(random: Random, list: readonly T[]): T {
  return list[random(list.length)]!;
}

/** Bytes of no meaning. */
export function noise(random: Random, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => random(256));
}

const methods = ["Unary", "Fail", "Hang", "Metadata", "Down", "Up", "Both"] as const;
const { endStream, endHeaders, padded, priority } = frameFlags;

/** Frames of one call that breaks no rule. */
function callFrames(random: Random, stream: number): Uint8Array[] {
  const method = oneOf(random, methods);
  const extra: Field[] = [];
  if (random(3) === 0) extra.push(["grpc-timeout", oneOf(random, ["1n", "5m", "1S", "99999999H"])]);
  if (random(3) === 0) extra.push([`x-${random(9)}`, "v".repeat(random(300))]);
  const frames = [headersFrame(stream, callFields(`/test.Echo/${method}`, ...extra))];
  const messages = method === "Up" || method === "Both" ? random(5) : 1;
  for (let sent = 0; sent < messages; sent++) {
    const message = method === "Down" ? downRequest(random(50), random(20_000)) : noise(random, random(2_000));
    frames.push(dataFrame(stream, prefixed(message)));
  }
  if (random(5) > 0) frames.push(dataFrame(stream, new Uint8Array(), endStream));
  if (random(6) === 0) frames.push(numberFrame(frameTypes.rstStream, stream, errorCodes.cancel));
  if (random(3) === 0) frames.push(numberFrame(frameTypes.windowUpdate, stream, 1 + random(1 << 20)));
  return frames;
}

/** Frames, the preface first, of a client that breaks no rule. */
export function validSession(random: Random): Uint8Array[] {
  const frames = [
    preface,
    settingsFrame(random(2) === 0 ? [] : [[settings.initialWindowSize, random(1 << 20)]]),
    numberFrame(frameTypes.windowUpdate, 0, 1 + random(1 << 24)),
  ];
  const calls = 1 + random(6);
  for (let call = 0; call < calls; call++) {
    frames.push(...callFrames(random, call * 2 + 1));
    if (random(4) === 0) frames.push(frame(frameTypes.ping, 0, 0, noise(random, 8)));
    if (random(6) === 0) frames.push(settingsFrame([[settings.initialWindowSize, random(1 << 18)]]));
  }
  if (random(8) === 0) frames.push(goAwayFrame(0, errorCodes.noError, "bye"));
  return frames;
}

/** A frame of any type, flags and stream, whose payload is noise. */
function randomFrame(random: Random): Uint8Array {
  const payload = noise(random, oneOf(random, [0, 1, 4, 5, 6, 8, random(40), random(600)]));
  return frame(random(12), random(256), random(3) === 0 ? 0 : random(16), payload);
}

/** HEADERS whose block is noise, or a good one that was damaged. */
function randomHeaders(random: Random, stream: number): Uint8Array {
  const flags = endHeaders | oneOf(random, [0, endStream, padded, priority, padded | priority]);
  if (random(2) === 0) return frame(frameTypes.headers, flags, stream, noise(random, random(200)));
  const block = headersFrame(stream, callFields("/test.Echo/Unary")).slice(9);
  for (let count = 1 + random(3); count > 0; count--) block[random(block.length)] = random(256);
  return frame(frameTypes.headers, flags, stream, block);
}

/** Changes of a list of frames, in place. */
const mutations: readonly ((frames: Uint8Array[], random: Random) => void)[] = [
  function flipBit(frames, random) {
    const index = random(frames.length);
    const changed = frames[index]!.slice();
    if (changed.length > 0) changed[random(changed.length)]! ^= 1 << random(8);
    frames[index] = changed;
  },
  // The header says where everything after it begins, so it is hit more often than by chance.
  function flipBitOfHeader(frames, random) {
    const index = random(frames.length);
    const changed = frames[index]!.slice();
    changed[random(Math.min(9, changed.length))]! ^= 1 << random(8);
    frames[index] = changed;
  },
  function truncate(frames, random) {
    const index = random(frames.length);
    frames[index] = frames[index]!.slice(0, random(frames[index]!.length));
  },
  function swap(frames, random) {
    const one = random(frames.length), other = random(frames.length);
    [frames[one], frames[other]] = [frames[other]!, frames[one]!];
  },
  function repeat(frames, random) {
    frames.splice(random(frames.length + 1), 0, oneOf(random, frames));
  },
  function drop(frames, random) {
    if (frames.length > 1) frames.splice(random(frames.length), 1);
  },
  function insertFrame(frames, random) {
    frames.splice(1 + random(frames.length), 0, randomFrame(random));
  },
  function insertHeaders(frames, random) {
    frames.splice(1 + random(frames.length), 0, randomHeaders(random, 1 + random(20)));
  },
  function insertNoise(frames, random) {
    frames.splice(random(frames.length + 1), 0, noise(random, 1 + random(100)));
  },
];

/** A session with some of its frames changed, gone, moved or added. */
export function mutated(frames: readonly Uint8Array[], random: Random): Uint8Array[] {
  const changed = [...frames];
  for (let count = random(6); count > 0; count--) oneOf(random, mutations)(changed, random);
  return changed;
}
