/**
 * Numbers about the daemon for monitoring systems, and their text form (Prometheus exposition format 0.0.4).
 *
 * @module
 */

/** Names and values of a number's labels. */
export type MetricLabels = Readonly<Record<string, string>>;

/** A line of the text: `name{labels} value`. */
export interface Sample {
  /** Added to the family's name, such as `_bucket`. */
  readonly suffix?: string;
  readonly labels?: MetricLabels;
  readonly value: number;
}

/** A name with all its numbers. */
export interface MetricFamily {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  /** The numbers at this moment. */
  samples(): Iterable<Sample>;
}

/** A number that only grows, or one that comes and goes. */
export class Value {
  value = 0;

  /** @param labels of this one among its family */
  constructor(readonly labels: MetricLabels = {}) {}

  /** Adds to it. */
  add(amount = 1): void {
    this.value += amount;
  }
}

/** Upper bounds in seconds, as Prometheus' own clients have them by default. */
export const defaultBounds: readonly number[] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** How often a duration fell below each of some bounds. */
export class Histogram {
  readonly #counts: Uint32Array;
  #sum = 0;

  constructor(readonly labels: MetricLabels = {}, readonly bounds: readonly number[] = defaultBounds) {
    this.#counts = new Uint32Array(bounds.length + 1);
  }

  /** Counts one duration, in seconds. */
  observe(seconds: number): void {
    let index = 0;
    while (index < this.bounds.length && seconds > this.bounds[index]!) index++;
    this.#counts[index]!++;
    this.#sum += seconds;
  }

  /** Cumulative counts, the sum and the number of all. */
  *samples(): Iterable<Sample> {
    let count = 0;
    for (const [index, bound] of [...this.bounds, Infinity].entries()) {
      count += this.#counts[index]!;
      yield { suffix: "_bucket", labels: { ...this.labels, le: numberText(bound) }, value: count };
    }
    yield { suffix: "_sum", labels: this.labels, value: this.#sum };
    yield { suffix: "_count", labels: this.labels, value: count };
  }
}

/** All families; renders them by name. */
export class MetricRegistry {
  readonly #families = new Map<string, MetricFamily>();
  readonly #sources: ((signal: AbortSignal) => Promise<void>)[] = [];

  /** Adds a family, in the place of one with its name. */
  add(family: MetricFamily): void {
    this.#families.set(family.name, family);
  }

  /** Adds a family whose numbers are kept by the caller. */
  addValues(type: "counter" | "gauge", name: string, help: string, values: () => Iterable<Value>): void {
    this.add({ name, help, type, samples: values });
  }

  /** Adds one number that is asked for when it is wanted; undefined leaves it out. */
  addNumber(type: "counter" | "gauge", name: string, help: string, read: () => number | undefined): void {
    this.add({
      name,
      help,
      type,
      samples: () => {
        const value = read();
        return value === undefined ? [] : [{ value }];
      },
    });
  }

  /** Adds what is to be asked before the numbers are shown, such as other processes. */
  addSource(refresh: (signal: AbortSignal) => Promise<void>): void {
    this.#sources.push(refresh);
  }

  /** Asks all sources. Throws what one of them does. */
  async refresh(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#sources.map((refresh) => refresh(signal)));
  }

  /** The whole text. */
  render(): string {
    let text = "";
    for (const [name, family] of [...this.#families].sort(([a], [b]) => a < b ? -1 : 1)) {
      let lines = "";
      for (const { suffix = "", labels = {}, value } of family.samples()) {
        lines += `${name}${suffix}${labelText(labels)} ${numberText(value)}\n`;
      }
      if (lines === "") continue;
      text += `# HELP ${name} ${escapeHelp(family.help)}\n# TYPE ${name} ${family.type}\n${lines}`;
    }
    return text;
  }
}

function labelText(labels: MetricLabels): string {
  // Labels are in the order of their names, and "le" is the last.
  const parts = Object.entries(labels).sort(([a], [b]) => a === "le" ? 1 : b === "le" ? -1 : a < b ? -1 : 1)
    .map(([name, value]) => `${name}="${value.replace(/[\\"\n]/g, (c) => c === "\n" ? "\\n" : `\\${c}`)}"`);
  return parts.length === 0 ? "" : `{${parts.join(",")}}`;
}

function escapeHelp(text: string): string {
  return text.replace(/[\\\n]/g, (c) => c === "\n" ? "\\n" : "\\\\");
}

/** Numbers as Go prints them: an exponent of at least two digits, from 1e21 and below 1e-4. */
function numberText(value: number): string {
  if (value === Infinity) return "+Inf";
  if (value === -Infinity) return "-Inf";
  const small = value !== 0 && Math.abs(value) < 1e-4;
  const text = small ? value.toExponential() : String(value);
  return text.replace(/e([+-])(\d)$/, "e$10$2");
}
