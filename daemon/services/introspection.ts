/**
 * `containerd.services.introspection.v1.Introspection`: what the daemon consists of.
 *
 * @module
 */
import type {
  DeprecationWarning,
  IntrospectionDefinition,
  Plugin,
  PluginInfoRequest,
  PluginInfoResponse,
  PluginsRequest,
  PluginsResponse,
  ServerResponse,
} from "../../api/gen/services/introspection/v1/introspection.ts";
import { Platform } from "../../api/gen/types/platform.ts";
import type { Any } from "../../api/gen/google/protobuf/any.ts";
import { Failure } from "../../api/errors.ts";
import type { CallContext } from "../../api/rpc/context.ts";
import type { ServiceOf } from "../../api/rpc/definition.ts";
import { statusOf } from "../../api/rpc/status.ts";
import { wireTime } from "../../api/timestamp.ts";
import { compileFilters } from "../filters/compile.ts";
import { serverUuid } from "./introspection_uuid.ts";

/** A plugin as it stands: loaded, or with the error that kept it from it. */
export interface PluginReport {
  readonly type: string;
  readonly id: string;
  readonly requires: readonly string[];
  readonly platforms: readonly { readonly os: string; readonly architecture: string; readonly variant?: string }[];
  readonly exports: Readonly<Record<string, string>>;
  readonly capabilities: readonly string[];
  /** Why it is not there: it failed, or was skipped. */
  readonly error?: unknown;
  /** What it made; one that {@link TellsMore} is asked by PluginInfo. */
  readonly instance?: unknown;
}

/** A plugin that answers questions about itself. */
export interface TellsMore {
  /** Throws `InvalidArgument` for a question that it does not know. */
  pluginInfo(question: Any, signal: AbortSignal): Promise<Any>;
}

function tellsMore(instance: unknown): instance is TellsMore {
  return typeof instance === "object" && instance !== null && "pluginInfo" in instance;
}

/** A use of something that will go. `lastOccurrence` is in milliseconds since 1970. */
export interface Deprecation {
  readonly id: string;
  readonly message: string;
  readonly lastOccurrence: number;
}

/** What {@link IntrospectionService} needs. */
export interface IntrospectionParts {
  /** All plugins that were to be loaded, in the order of loading. */
  readonly plugins: () => Iterable<PluginReport>;
  /** Deprecations met since the start. */
  readonly deprecations: () => Iterable<Deprecation>;
  /** Directory that keeps the server's UUID; made where it is missing. */
  readonly directory: string;
}

/** Tells plugins, and who the server is. No namespace is needed. */
export class IntrospectionService implements ServiceOf<typeof IntrospectionDefinition> {
  readonly #parts: IntrospectionParts;
  #uuid: string | undefined;

  constructor(parts: IntrospectionParts) {
    this.#parts = parts;
  }

  // Async, so that what is thrown is a rejection.
  // deno-lint-ignore require-await
  async plugins({ filters }: PluginsRequest): Promise<PluginsResponse> {
    const matches = compileFilters(filters);
    const plugins: Plugin[] = [];
    for (const report of this.#parts.plugins()) {
      if (matches((path) => fieldOf(report, path))) plugins.push(messageOf(report));
    }
    return { plugins };
  }

  // As above.
  // deno-lint-ignore require-await
  async server(): Promise<ServerResponse> {
    // Made by the first who asks: a daemon whose disk is full still starts.
    this.#uuid ??= serverUuid(this.#parts.directory);
    const deprecations = [...this.#parts.deprecations()].map(({ id, message, lastOccurrence }): DeprecationWarning => ({
      id,
      message,
      lastOccurrence: wireTime(lastOccurrence),
    }));
    return { uuid: this.#uuid, pid: Deno.pid, pidns: Deno.statSync("/proc/self/ns/pid").ino ?? 0, deprecations };
  }

  async pluginInfo(request: PluginInfoRequest, { signal }: CallContext): Promise<PluginInfoResponse> {
    const { type, id, options } = request;
    for (const report of this.#parts.plugins()) {
      if (report.type !== type || report.id !== id) continue;
      if (options !== undefined) {
        if (report.error !== undefined) {
          throw new Failure("FailedPrecondition", "failed to get plugin instance, plugin is not loaded", {
            cause: report.error,
          });
        }
        const { instance } = report;
        if (!tellsMore(instance)) {
          throw new Failure("NotImplemented", "plugin does not provide plugin information");
        }
        return { plugin: messageOf(report), extra: await instance.pluginInfo(options, signal) };
      }
      return { plugin: messageOf(report), extra: undefined };
    }
    throw new Failure("NotFound", "plugin not found");
  }
}

function fieldOf({ type, id }: PluginReport, [field, ...rest]: readonly string[]): string | undefined {
  if (rest.length > 0) return undefined;
  return field === "type" ? type : field === "id" ? id : undefined;
}

function messageOf(report: PluginReport): Plugin {
  return {
    type: report.type,
    id: report.id,
    requires: [...report.requires],
    platforms: report.platforms.map((platform) => Platform.fromPartial(platform)),
    exports: { ...report.exports },
    capabilities: [...report.capabilities],
    initErr: report.error === undefined ? undefined : { ...statusOf(report.error), details: [] },
  };
}
