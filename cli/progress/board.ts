/**
 * The state of a pull, as the events tell it.
 *
 * @module
 */
import type { LayerEvent, LayerState, ProgressEvent } from "./event.ts";

/** A layer as it is known now. */
export interface LayerProgress {
  readonly digest: string;
  readonly state: LayerState;
  readonly offset: number;
  readonly total: number;
}

/** Collects events. It knows no clock: callers say when something happens, in milliseconds of any one clock. */
export class Board {
  /** Name of the image, once it is resolved. */
  name: string | undefined;
  readonly #layers = new Map<string, LayerProgress>();
  readonly #startMs: number;
  /** Bytes that came over the line, without those that an earlier pull had left. */
  #received = 0;
  #lastReceiptMs: number;

  constructor(nowMs: number) {
    this.#startMs = nowMs;
    this.#lastReceiptMs = nowMs;
  }

  /** Takes an event; answers whether a layer's state (or the name) is another one now. */
  add(event: ProgressEvent, nowMs: number): boolean {
    if (event.kind === "resolved") {
      const isNew = this.name !== event.name;
      this.name = event.name;
      return isNew;
    }
    const before = this.#layers.get(event.digest);
    if (event.state === "downloading" && before?.state === "downloading" && event.offset > before.offset) {
      this.#received += event.offset - before.offset;
      this.#lastReceiptMs = nowMs;
    }
    const { digest, state, offset, total } = event;
    this.#layers.set(digest, { digest, state, offset, total });
    return before?.state !== event.state;
  }

  /** The layers in the order in which they were first told. */
  layers(): LayerProgress[] {
    return [...this.#layers.values()];
  }

  /** The numbers for a line over all layers. */
  total(
    nowMs: number,
  ): { layers: number; finished: number; received: number; elapsedMs: number; bytesPerSecond: number } {
    const layers = this.layers();
    // The speed is that of the line: time after the last byte (unpacking) does not count.
    const receivingMs = this.#lastReceiptMs - this.#startMs;
    return {
      layers: layers.length,
      finished: layers.filter(({ state }) => isFinished(state)).length,
      received: this.#received,
      elapsedMs: nowMs - this.#startMs,
      bytesPerSecond: receivingMs > 0 ? this.#received * 1000 / receivingMs : 0,
    };
  }
}

/** Whether nothing more will happen to a layer in this state. */
export function isFinished(state: LayerEvent["state"]): boolean {
  return state === "done" || state === "exists";
}
