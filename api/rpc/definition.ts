/**
 * Services as data: what the generated `XDefinition` objects are, and the types that follow from them.
 *
 * A service is a plain object whose methods take and give messages; streams are async iterables. Transports (gRPC,
 * ttrpc, in-process) are adapters over a {@link ServiceTable}; a service knows none of them.
 *
 * @module
 */
import type { CallContext } from "./context.ts";

/** How a message is written and read; the generated message objects are such. */
export interface MessageType<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

/** One method of a service. `name` is the one on the wire, such as `Get`. */
export interface MethodDefinition {
  readonly name: string;
  // The messages differ from method to method; MessageOf gives them back their types.
  // deno-lint-ignore no-explicit-any
  readonly requestType: MessageType<any>;
  readonly requestStream: boolean;
  // deno-lint-ignore no-explicit-any
  readonly responseType: MessageType<any>;
  readonly responseStream: boolean;
}

/** One service. `fullName` is the one on the wire, such as `containerd.services.images.v1.Images`. */
export interface ServiceDefinition {
  readonly name: string;
  readonly fullName: string;
  readonly methods: Readonly<Record<string, MethodDefinition>>;
}

/** The message of a message type. */
export type MessageOf<T> = T extends MessageType<infer M> ? M : never;

type Call<M extends MethodDefinition, Input, Result> = M["requestStream"] extends true
  ? (requests: AsyncIterable<MessageOf<M["requestType"]>>, input: Input) => Result
  : (request: MessageOf<M["requestType"]>, input: Input) => Result;

type ResultOf<M extends MethodDefinition> = M["responseStream"] extends true
  ? AsyncIterable<MessageOf<M["responseType"]>>
  : Promise<MessageOf<M["responseType"]>>;

/** What implements a method. A stream that is thrown at, or not read to its end, is told by `context.signal`. */
export type Handler<M extends MethodDefinition> = Call<M, CallContext, ResultOf<M>>;

/** What implements a service: a class with these methods. */
export type ServiceOf<D extends ServiceDefinition> = {
  readonly [K in keyof D["methods"]]: Handler<D["methods"][K]>;
};

/** Options of one call of a client. */
export interface CallOptions {
  /** Ends the call; its reason is thrown. */
  readonly signal?: AbortSignal;
  /** Time that the call may take, in milliseconds; told to the server. None: no limit. */
  readonly timeoutMs?: number;
  /** Metadata besides the client's own, by lower-case key. */
  readonly metadata?: Readonly<Record<string, string>>;
}

type Caller<M extends MethodDefinition> = M["requestStream"] extends true
  ? (requests: AsyncIterable<MessageOf<M["requestType"]>>, options?: CallOptions) => ResultOf<M>
  : (request: MessageOf<M["requestType"]>, options?: CallOptions) => ResultOf<M>;

/** What calls a service, over whatever transport. Failures are thrown as `Failure`. */
export type ClientOf<D extends ServiceDefinition> = {
  readonly [K in keyof D["methods"]]: Caller<D["methods"][K]>;
};

/** A method with what implements it, as transports call it. */
export interface BoundMethod {
  readonly definition: MethodDefinition;
  // Only ServiceTable.add makes these, from a definition and an implementation that fit.
  // deno-lint-ignore no-explicit-any
  readonly handler: (request: any, context: CallContext) => any;
}

/** The services of a server, by their names on the wire. */
export class ServiceTable {
  readonly #services = new Map<string, Map<string, BoundMethod>>();

  /** Adds a service. One of the same name is replaced. */
  add<D extends ServiceDefinition>(definition: D, service: ServiceOf<D>): this {
    const methods = new Map<string, BoundMethod>();
    for (const [key, method] of Object.entries(definition.methods)) {
      // By the type of `service`, each method of the definition is there.
      const handler = service[key] as BoundMethod["handler"];
      methods.set(method.name, { definition: method, handler: handler.bind(service) });
    }
    this.#services.set(definition.fullName, methods);
    return this;
  }

  /** The methods of a service by their names on the wire; undefined where there is no such service. */
  service(fullName: string): ReadonlyMap<string, BoundMethod> | undefined {
    return this.#services.get(fullName);
  }

  /** Names of all services. */
  names(): string[] {
    return [...this.#services.keys()];
  }
}
