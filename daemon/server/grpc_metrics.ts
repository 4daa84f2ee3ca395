/**
 * Counts of calls by service, method and code, under the names of grpc-go's Prometheus interceptor.
 *
 * @module
 */
import type { CallName, CallObserver } from "../../api/grpc/server.ts";
import type { MethodDefinition, ServiceTable } from "../../api/rpc/definition.ts";
import { Histogram, type MetricLabels, type MetricRegistry, type Sample, Value } from "./metric_registry.ts";

/** Names of the codes in the labels, by number. */
const codeNames = [
  ...["OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists"],
  ...["PermissionDenied", "ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented"],
  ...["Internal", "Unavailable", "DataLoss", "Unauthenticated"],
];

class MethodCounts implements CallObserver {
  readonly #started: Value;
  readonly #received: Value;
  readonly #sent: Value;
  readonly #handled: Value[];
  readonly #seconds: Histogram | undefined;

  constructor(readonly labels: MetricLabels, histogram: boolean) {
    this.#started = new Value(labels);
    this.#received = new Value(labels);
    this.#sent = new Value(labels);
    this.#handled = codeNames.map((name) => new Value({ grpc_code: name, ...labels }));
    this.#seconds = histogram ? new Histogram(labels) : undefined;
  }

  /** What counts one call. Without a histogram nothing is kept for a call, and all share one observer. */
  begin(): CallObserver {
    this.#started.value++;
    const seconds = this.#seconds;
    if (seconds === undefined) return this;
    const began = performance.now();
    return {
      received: () => this.received(),
      sent: () => this.sent(),
      handled: (code) => {
        this.handled(code);
        seconds.observe((performance.now() - began) / 1000);
      },
    };
  }

  received(): void {
    this.#received.value++;
  }

  sent(): void {
    this.#sent.value++;
  }

  handled(code: number): void {
    const counted = this.#handled[code] ?? this.#handled[2]!;
    counted.value++;
  }

  values(): {
    started: Value;
    received: Value;
    sent: Value;
    handled: readonly Value[];
    seconds: Histogram | undefined;
  } {
    return {
      started: this.#started,
      received: this.#received,
      sent: this.#sent,
      handled: this.#handled,
      seconds: this.#seconds,
    };
  }
}

function typeOf({ requestStream, responseStream }: MethodDefinition): CallName["type"] {
  if (requestStream) return responseStream ? "bidi_stream" : "client_stream";
  return responseStream ? "server_stream" : "unary";
}

/** Counts the calls of a table's methods; methods that are not called are there with zeros, as containerd has them. */
export class GrpcMetrics {
  readonly #methods = new Map<string, Map<string, MethodCounts>>();

  /** `histogram` adds `grpc_server_handling_seconds`, which costs a clock reading and an object for each call. */
  constructor(registry: MetricRegistry, services: ServiceTable, histogram: boolean) {
    for (const grpc_service of services.names()) {
      const methods = new Map<string, MethodCounts>();
      for (const [grpc_method, { definition }] of services.service(grpc_service) ?? []) {
        methods.set(
          grpc_method,
          new MethodCounts({ grpc_method, grpc_service, grpc_type: typeOf(definition) }, histogram),
        );
      }
      this.#methods.set(grpc_service, methods);
    }
    this.#add(registry, "started_total", "Total number of RPCs started on the server.", ({ started }) => [started]);
    this.#add(
      registry,
      "handled_total",
      "Total number of RPCs completed on the server, regardless of success or failure.",
      ({ handled }) => handled,
    );
    this.#add(
      registry,
      "msg_received_total",
      "Total number of RPC stream messages received on the server.",
      ({ received }) => [received],
    );
    this.#add(
      registry,
      "msg_sent_total",
      "Total number of gRPC stream messages sent by the server.",
      ({ sent }) => [sent],
    );
    if (!histogram) return;
    registry.add({
      name: "grpc_server_handling_seconds",
      help: "Histogram of response latency (seconds) of gRPC that had been application-level handled by the server.",
      type: "histogram",
      samples: () => this.#samples(({ seconds }) => seconds?.samples() ?? []),
    });
  }

  /** For the server's `observe`. */
  readonly observe = ({ service, method }: CallName): CallObserver | undefined =>
    this.#methods.get(service)?.get(method)?.begin();

  #add(
    registry: MetricRegistry,
    name: string,
    help: string,
    read: (values: ReturnType<MethodCounts["values"]>) => Iterable<Sample>,
  ): void {
    registry.add({ name: `grpc_server_${name}`, help, type: "counter", samples: () => this.#samples(read) });
  }

  *#samples(read: (values: ReturnType<MethodCounts["values"]>) => Iterable<Sample>): Iterable<Sample> {
    for (const methods of this.#methods.values()) {
      for (const counts of methods.values()) yield* read(counts.values());
    }
  }
}
