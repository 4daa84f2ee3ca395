/**
 * The lines that show a pull: pure functions from its state to text.
 *
 * @module
 */
import { formatBytes, formatDuration } from "./amount.ts";
import { type Board, isFinished, type LayerProgress } from "./board.ts";
import type { LayerEvent, LayerState, ResolvedEvent } from "./event.ts";

const stateTexts: Readonly<Record<LayerState, string>> = {
  waiting: "waiting",
  downloading: "downloading",
  unpacking: "unpacking",
  done: "done",
  exists: "already here",
};
const stateWidth = 12;

/** Widest useful bar, and the narrowest that still tells something, in columns. */
const barWidthMax = 30;
const barWidthMin = 6;

/**
 * The live table: one line a layer and one for all. Lines are narrower than `width` and fewer than `height`, as a
 * line that wraps or scrolls could not be erased; where the layers do not fit, finished ones go first.
 */
export function renderTable(board: Board, size: { width: number; height: number }, nowMs: number): string[] {
  const width = Math.max(1, size.width - 1);
  const rows = Math.max(0, size.height - 2);
  const layers = board.layers();
  const title = board.name === undefined ? [] : [clip(`pulling ${shown(board.name)}`, width)];
  const fitting = chooseLayers(layers, Math.max(0, rows - title.length));
  const hidden = layers.length - fitting.length;
  return [
    ...title,
    ...fitting.map((layer) => clip(renderLayer(layer, width), width)),
    clip(renderTotal(board, hidden, nowMs), width),
  ];
}

/** The layers that are shown, in their order: those at work, then those that wait, then the finished ones. */
function chooseLayers(layers: LayerProgress[], rows: number): LayerProgress[] {
  if (layers.length <= rows) return layers;
  const rank = ({ state }: LayerProgress) => isFinished(state) ? 2 : state === "waiting" ? 1 : 0;
  const chosen = new Set(layers.toSorted((a, b) => rank(a) - rank(b)).slice(0, rows));
  return layers.filter((layer) => chosen.has(layer));
}

function renderLayer({ digest, state, offset, total }: LayerProgress, width: number): string {
  const start = `${shortDigest(digest)}  ${stateTexts[state].padEnd(stateWidth)}`;
  if (state === "waiting" || isFinished(state)) return total > 0 ? `${start}  ${formatBytes(total)}` : start.trimEnd();
  if (total <= 0) return offset > 0 ? `${start}  ${formatBytes(offset)}` : start.trimEnd();
  const amount = `${formatBytes(Math.min(offset, total))} / ${formatBytes(total)}`;
  const room = width - start.length - amount.length - 6;
  if (room < barWidthMin) return `${start}  ${amount}`;
  return `${start}  ${bar(offset / total, Math.min(room, barWidthMax))}  ${amount}`;
}

/** A bar of exactly `width + 2` columns; it is full only at the end. */
function bar(fraction: number, width: number): string {
  const filled = Math.floor(Math.min(1, Math.max(0, fraction)) * width);
  return `[${"=".repeat(filled)}${filled < width ? ">" : ""}${" ".repeat(Math.max(0, width - filled - 1))}]`;
}

function renderTotal(board: Board, hidden: number, nowMs: number): string {
  const { layers, finished, received, elapsedMs, bytesPerSecond } = board.total(nowMs);
  if (layers === 0) return `resolving  ${formatDuration(elapsedMs)}`;
  const speed = bytesPerSecond > 0 ? `, ${formatBytes(bytesPerSecond)}/s` : "";
  const rest = hidden > 0 ? `, ${hidden} not shown` : "";
  return `${finished} of ${layers} layers${rest}  ${formatBytes(received)}${speed}, ${formatDuration(elapsedMs)}`;
}

/** The line for a changed state where there is no terminal. */
export function renderLine(event: LayerEvent | ResolvedEvent): string {
  if (event.kind === "resolved") return `${shown(event.name)}: resolved to ${shown(event.digest)}`;
  const amount = event.total > 0 ? ` (${formatBytes(event.total)})` : "";
  return `${shortDigest(event.digest)}: ${stateTexts[event.state]}${amount}`;
}

/** The line at the end of a pull where there is no terminal, and the one that stays on a terminal. */
export function renderSummary(board: Board, nowMs: number): string {
  const { layers, received, elapsedMs, bytesPerSecond } = board.total(nowMs);
  const name = board.name === undefined ? "image" : shown(board.name);
  const amount = received > 0 ? `${formatBytes(received)} in ${formatDuration(elapsedMs)}` : formatDuration(elapsedMs);
  const speed = bytesPerSecond > 0 ? `, ${formatBytes(bytesPerSecond)}/s` : "";
  return `pulled ${name}: ${layers} ${layers === 1 ? "layer" : "layers"}, ${amount}${speed}`;
}

/** The first 12 hex digits, as docker shows them. */
function shortDigest(digest: string): string {
  return shown(digest.slice(digest.indexOf(":") + 1).slice(0, 12)).padEnd(12);
}

/** Names may come from an archive that a stranger wrote: nothing in them may drive the terminal. */
function shown(text: string): string {
  // deno-lint-ignore no-control-regex -- control characters are what is looked for
  return text.replace(/[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069]/g, "?");
}

function clip(text: string, width: number): string {
  return text.length <= width ? text : width <= 1 ? text.slice(0, width) : `${text.slice(0, width - 1)}…`;
}
