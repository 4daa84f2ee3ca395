/**
 * `containerd.services.sandbox.v1.Controller`: hands each call to the controller that it names, and tells of what came
 * of it.
 *
 * @module
 */
import { Any } from "../../api/gen/google/protobuf/any.ts";
import type {
  ControllerCreateRequest,
  ControllerCreateResponse,
  ControllerDefinition,
  ControllerMetricsRequest,
  ControllerMetricsResponse,
  ControllerShutdownRequest,
  ControllerShutdownResponse,
  ControllerStartRequest,
  ControllerStartResponse,
  ControllerStatusRequest,
  ControllerStatusResponse,
  ControllerStopRequest,
  ControllerStopResponse,
  ControllerUpdateRequest,
  ControllerUpdateResponse,
  ControllerWaitRequest,
  ControllerWaitResponse,
} from "../../api/gen/services/sandbox/v1/sandbox.ts";
import { Failure } from "../../api/errors.ts";
import { type CallContext, namespaceOf } from "../../api/rpc/context.ts";
import type { ServiceOf } from "../../api/rpc/definition.ts";
import { eventKinds } from "./event_kinds.ts";
import { announce, type Publisher } from "./parts.ts";

/**
 * Runs sandboxes of one sort. It has the methods of the service, whose requests name it; it publishes nothing itself.
 * The namespace was looked at before.
 */
export type SandboxController = Omit<ServiceOf<typeof ControllerDefinition>, "platform">;

/** What {@link SandboxControllerService} needs. */
export interface SandboxControllerParts {
  readonly events: Publisher;
  /** Controllers by their names; `shim` is answered for even where it is missing. */
  readonly controllers: ReadonlyMap<string, SandboxController>;
}

/** See the module. */
export class SandboxControllerService implements ServiceOf<typeof ControllerDefinition> {
  constructor(private readonly parts: SandboxControllerParts) {}

  /** The controller of that name. Throws `InvalidArgument`, `NotFound`, `NotImplemented`. */
  #controller(name: string): SandboxController {
    if (name === "") throw new Failure("InvalidArgument", "sandbox controller name can not be empty");
    const controller = this.parts.controllers.get(name);
    if (controller !== undefined) return controller;
    if (name !== "shim") throw new Failure("NotFound", `failed to get sandbox controller by ${name}`);
    throw new Failure("NotImplemented", `sandbox controller "shim": this daemon has no shim yet`);
  }

  async create(request: ControllerCreateRequest, context: CallContext): Promise<ControllerCreateResponse> {
    const namespace = namespaceOf(context);
    const response = await this.#controller(request.sandboxer).create(request, context);
    // Of the request, as in containerd: clients give the id twice.
    announce(this.parts.events, namespace, eventKinds.sandboxCreate, { sandboxId: request.sandboxId });
    return response;
  }

  async start(request: ControllerStartRequest, context: CallContext): Promise<ControllerStartResponse> {
    const namespace = namespaceOf(context);
    const response = await this.#controller(request.sandboxer).start(request, context);
    announce(this.parts.events, namespace, eventKinds.sandboxStart, { sandboxId: response.sandboxId });
    return response;
  }

  /** containerd's server has no such method either. */
  platform(): Promise<never> {
    return Promise.reject(new Failure("NotImplemented", "method Platform not implemented"));
  }

  async stop(request: ControllerStopRequest, context: CallContext): Promise<ControllerStopResponse> {
    namespaceOf(context);
    return await this.#controller(request.sandboxer).stop(request, context);
  }

  /** Tells of the exit once for each who waits, as containerd does. */
  async wait(request: ControllerWaitRequest, context: CallContext): Promise<ControllerWaitResponse> {
    const namespace = namespaceOf(context);
    const response = await this.#controller(request.sandboxer).wait(request, context);
    const { exitStatus, exitedAt } = response;
    const exit = { sandboxId: request.sandboxId, exitStatus, exitedAt };
    announce(this.parts.events, namespace, eventKinds.sandboxExit, exit);
    return response;
  }

  async status(request: ControllerStatusRequest, context: CallContext): Promise<ControllerStatusResponse> {
    namespaceOf(context);
    const response = await this.#controller(request.sandboxer).status(request, context);
    return { ...response, extra: response.extra ?? Any.create() };
  }

  async shutdown(request: ControllerShutdownRequest, context: CallContext): Promise<ControllerShutdownResponse> {
    namespaceOf(context);
    return await this.#controller(request.sandboxer).shutdown(request, context);
  }

  async metrics(request: ControllerMetricsRequest, context: CallContext): Promise<ControllerMetricsResponse> {
    namespaceOf(context);
    return await this.#controller(request.sandboxer).metrics(request, context);
  }

  async update(request: ControllerUpdateRequest, context: CallContext): Promise<ControllerUpdateResponse> {
    namespaceOf(context);
    const controller = this.#controller(request.sandboxer);
    if (request.sandbox === undefined) throw new Failure("Unknown", "sandbox can not be nil");
    return await controller.update(request, context);
  }
}
