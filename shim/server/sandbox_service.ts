/**
 * The sandbox service of a shim: a pod whose containers are in this shim.
 *
 * The sandbox has no process of its own: what its containers share (a network namespace) is named by their specs. It is
 * ready from its start to its stop, and keeps the shim until it is shut down.
 *
 * @module
 */
import { untilAborted } from "../../api/abort.ts";
import { Failure } from "../../api/errors.ts";
import type {
  CreateSandboxRequest,
  CreateSandboxResponse,
  PingRequest,
  PingResponse,
  PlatformResponse,
  SandboxDefinition,
  SandboxMetricsRequest,
  SandboxMetricsResponse,
  SandboxStatusRequest,
  SandboxStatusResponse,
  ShutdownSandboxRequest,
  ShutdownSandboxResponse,
  StartSandboxRequest,
  StartSandboxResponse,
  StopSandboxRequest,
  StopSandboxResponse,
  WaitSandboxRequest,
  WaitSandboxResponse,
} from "../../api/gen/runtime/sandbox/v1/sandbox.ts";
import type { CallContext } from "../../api/rpc/context.ts";
import type { ServiceOf } from "../../api/rpc/definition.ts";
import { wireTime } from "../../api/timestamp.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import { within } from "../../ffi/timer.ts";
import { wallTimeMs } from "../../ffi/wall_clock.ts";
import { cgroupsOf } from "../task/container_cgroups.ts";
import type { Containers } from "../task/containers.ts";
import type { ShimLifetime } from "./shim_life.ts";

interface Sandbox {
  readonly id: string;
  /** Milliseconds since 1970; 0 before its start. */
  startedAt: number;
  stoppedAt: number;
  readonly stopped: PromiseWithResolvers<void>;
}

/** Where the request names no time: what kubelets give. */
const stopMsDefault = 10_000;
const SIGKILL = 9;

/** How the kernel's architectures are called in platforms. */
const architectures: Readonly<Record<string, string>> = { x86_64: "amd64", aarch64: "arm64" };

/** See the module. One sandbox for each shim. */
export class SandboxService implements ServiceOf<typeof SandboxDefinition> {
  #sandbox: Sandbox | undefined;

  constructor(readonly reactor: Reactor, readonly containers: Containers, readonly life: ShimLifetime) {}

  #get(id: string): Sandbox {
    if (this.#sandbox?.id === id) return this.#sandbox;
    throw new Failure("NotFound", `sandbox ${id}`);
  }

  // deno-lint-ignore require-await -- what is thrown must be a rejection
  async createSandbox({ sandboxId, rootfs }: CreateSandboxRequest): Promise<CreateSandboxResponse> {
    if (this.#sandbox !== undefined) throw new Failure("AlreadyExists", `sandbox ${this.#sandbox.id}`);
    if (rootfs.length > 0) {
      throw new Failure("NotImplemented", "sandboxes of this runtime have no root file system: leave rootfs empty");
    }
    this.life.coming(placeOf(sandboxId));
    this.#sandbox = { id: sandboxId, startedAt: 0, stoppedAt: 0, stopped: Promise.withResolvers() };
    return {};
  }

  // deno-lint-ignore require-await -- as above
  async startSandbox({ sandboxId }: StartSandboxRequest): Promise<StartSandboxResponse> {
    const sandbox = this.#get(sandboxId);
    if (sandbox.startedAt !== 0) throw new Failure("FailedPrecondition", `sandbox ${sandboxId} was started already`);
    sandbox.startedAt = wallTimeMs();
    return { pid: Deno.pid, createdAt: wireTime(sandbox.startedAt), spec: undefined };
  }

  // deno-lint-ignore require-await -- as above
  async platform(): Promise<PlatformResponse> {
    const architecture = architectures[Deno.build.arch] ?? Deno.build.arch;
    return { platform: { os: "linux", architecture, variant: "", osVersion: "", osFeatures: [] } };
  }

  /** Kills what still runs; the containers stay to be deleted. */
  async stopSandbox({ sandboxId, timeoutSecs }: StopSandboxRequest): Promise<StopSandboxResponse> {
    const sandbox = this.#get(sandboxId);
    const running = this.containers.all().filter(({ init }) => init.status !== "stopped");
    await Promise.all(running.map((container) => container.kill("", SIGKILL, true).catch(ignoreEnded)));
    const ends = Promise.all(running.map(({ init }) => init.exited));
    const limitMs = timeoutSecs === 0 ? stopMsDefault : timeoutSecs * 1000;
    if (!await within(this.reactor, ends, limitMs)) {
      throw new Failure(
        "DeadlineExceeded",
        `containers of sandbox ${sandboxId} did not end within ${limitMs / 1000} s`,
      );
    }
    if (sandbox.stoppedAt === 0) sandbox.stoppedAt = wallTimeMs();
    sandbox.stopped.resolve();
    return {};
  }

  async waitSandbox({ sandboxId }: WaitSandboxRequest, { signal }: CallContext): Promise<WaitSandboxResponse> {
    const sandbox = this.#get(sandboxId);
    await untilAborted(sandbox.stopped.promise, signal);
    return { exitStatus: 0, exitedAt: wireTime(sandbox.stoppedAt) };
  }

  // deno-lint-ignore require-await -- as above
  async sandboxStatus({ sandboxId }: SandboxStatusRequest): Promise<SandboxStatusResponse> {
    const { startedAt, stoppedAt } = this.#get(sandboxId);
    return {
      sandboxId,
      pid: Deno.pid,
      state: startedAt !== 0 && stoppedAt === 0 ? "SANDBOX_READY" : "SANDBOX_NOTREADY",
      info: {},
      createdAt: startedAt === 0 ? undefined : wireTime(startedAt),
      exitedAt: stoppedAt === 0 ? undefined : wireTime(stoppedAt),
      extra: undefined,
    };
  }

  // deno-lint-ignore require-await -- as above
  async pingSandbox({ sandboxId }: PingRequest): Promise<PingResponse> {
    this.#get(sandboxId);
    return {};
  }

  /** Ends the shim, once this is answered. */
  // deno-lint-ignore require-await -- as above
  async shutdownSandbox({ sandboxId }: ShutdownSandboxRequest): Promise<ShutdownSandboxResponse> {
    // Also for one whose creation has failed.
    if (this.#sandbox !== undefined) this.#get(sandboxId).stopped.resolve();
    this.life.end();
    return {};
  }

  /** What the shim itself uses, which is all that the sandbox has besides its containers. */
  async sandboxMetrics({ sandboxId }: SandboxMetricsRequest): Promise<SandboxMetricsResponse> {
    this.#get(sandboxId);
    const cgroups = cgroupsOf(Deno.pid);
    if (cgroups === undefined) throw new Failure("NotFound", "cgroup does not exist");
    const { measure } = await import("../task/measure.ts");
    return { metrics: { timestamp: wireTime(wallTimeMs()), id: sandboxId, data: measure(cgroups) } };
  }
}

/** The sandbox among the containers that keep a shim; no container can be called so. */
function placeOf(sandboxId: string): string {
  return `sandbox/${sandboxId}`;
}

function ignoreEnded(error: unknown): void {
  if (!(error instanceof Failure && error.code === "NotFound")) throw error;
}
