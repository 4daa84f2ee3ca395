/**
 * Shows a pull on standard error: a live table on a terminal, a line for each change elsewhere.
 *
 * @module
 */
import { Board } from "./board.ts";
import type { ProgressEvent } from "./event.ts";
import { renderLine, renderSummary, renderTable } from "./render.ts";

/** Ten pictures a second look smooth; more only cost the pull its time. */
const redrawMs = 100;

/**
 * Where text goes. The default is standard error, as standard output belongs to the container.
 */
export interface Screen {
  /** Whether lines can be drawn again. */
  readonly isTerminal: boolean;
  /** Columns and rows now; a window may be resized at any time. */
  size(): { width: number; height: number };
  write(text: string): void;
}

/**
 * A display of one pull, from `openProgress` until it is disposed. `add` may be called for every chunk that
 * arrives: the table is drawn at most ten times a second. `finish` replaces it by one line that stays; disposing
 * without it (a pull that fails) only erases it, so that the error's sentence stands alone.
 */
export interface ProgressDisplay extends Disposable {
  add(event: ProgressEvent): void;
  finish(): void;
}

/** Opens the display that suits the screen. */
export function openProgress(screen: Screen = standardError): ProgressDisplay {
  return screen.isTerminal ? new LiveTable(screen) : new PlainLines(screen);
}

const encoder = new TextEncoder();

const standardError: Screen = {
  get isTerminal() {
    return Deno.stderr.isTerminal() && Deno.env.get("TERM") !== "dumb";
  },
  size() {
    try {
      const { columns, rows } = Deno.consoleSize();
      // A terminal that does not know its size says 0.
      return { width: columns || 80, height: rows || 24 };
    } catch {
      // No standard stream is a terminal with a size: what terminals once had does.
      return { width: 80, height: 24 };
    }
  },
  write(text) {
    const bytes = encoder.encode(text);
    try {
      for (let at = 0; at < bytes.length;) at += Deno.stderr.writeSync(bytes.subarray(at));
    } catch (error) {
      // Nobody looks any more (`2>&1 | head`): the pull goes on, what it does is not only for the looks.
      if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
    }
  },
};

const escape = "\x1b[";

class LiveTable implements ProgressDisplay {
  readonly #screen: Screen;
  readonly #board = new Board(performance.now());
  /** Lines on the screen that are ours; the cursor stands at the start of the line below them. */
  #drawn = 0;
  #drawnMs = -Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  constructor(screen: Screen) {
    this.#screen = screen;
  }

  add(event: ProgressEvent): void {
    if (this.#closed) return;
    const nowMs = performance.now();
    this.#board.add(event, nowMs);
    if (nowMs - this.#drawnMs >= redrawMs) this.#draw();
    // The last event before a pause must show as well.
    else this.#timer ??= setTimeout(() => this.#draw(), redrawMs - (nowMs - this.#drawnMs));
  }

  #draw(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#drawnMs = performance.now();
    const lines = renderTable(this.#board, this.#screen.size(), this.#drawnMs);
    // Line by line over the old picture and one write, so that nothing flickers.
    const text = lines.map((line) => `${line}${escape}K\n`).join("");
    this.#screen.write(`${this.#toTop()}${text}${escape}J`);
    this.#drawn = lines.length;
  }

  #toTop(): string {
    return this.#drawn === 0 ? "" : `\r${escape}${this.#drawn}A`;
  }

  finish(): void {
    if (this.#closed) return;
    this[Symbol.dispose]();
    this.#screen.write(`${renderSummary(this.#board, performance.now())}\n`);
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    if (this.#drawn > 0) this.#screen.write(`${this.#toTop()}${escape}J`);
  }
}

class PlainLines implements ProgressDisplay {
  readonly #screen: Screen;
  readonly #board = new Board(performance.now());
  #closed = false;

  constructor(screen: Screen) {
    this.#screen = screen;
  }

  add(event: ProgressEvent): void {
    if (this.#closed) return;
    const isChange = this.#board.add(event, performance.now());
    // What waits will be told when it moves.
    const isNews = event.kind === "resolved" || event.state !== "waiting";
    if (isChange && isNews) this.#screen.write(`${renderLine(event)}\n`);
  }

  finish(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#screen.write(`${renderSummary(this.#board, performance.now())}\n`);
  }

  [Symbol.dispose](): void {
    this.#closed = true;
  }
}
