/**
 * The mounts service: mounts that the daemon performs for its clients.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { Empty } from "../../api/gen/google/protobuf/empty.ts";
import {
  type ActivateRequest,
  ActivateResponse,
  type DeactivateRequest,
  type InfoRequest,
  InfoResponse,
  ListMessage,
  type ListRequest,
  type MountsDefinition,
  type UpdateRequest,
  type UpdateResponse,
} from "../../api/gen/services/mounts/v1/mounts.ts";
import { ActivationInfo } from "../../api/gen/types/mount.ts";
import { type CallContext, leaseOf, namespaceOf } from "../../api/rpc/context.ts";
import type { ServiceOf } from "../../api/rpc/definition.ts";
import { wireTime } from "../../api/timestamp.ts";
import { checkLabelNames, checkLabels } from "../metadata/label_refs.ts";
import type { Activation } from "../mounts/activation.ts";
import { leaseExists } from "../mounts/kept.ts";
import type { MountManager } from "../mounts/mount_manager.ts";
import type { MountPart } from "../mounts/perform.ts";
import type { Stores } from "../store.ts";

/** What {@link MountsService} needs. */
export interface MountsParts {
  readonly stores: Stores;
  readonly manager: MountManager;
}

/** `containerd.services.mounts.v1.Mounts`. */
export class MountsService implements ServiceOf<typeof MountsDefinition> {
  readonly #parts: MountsParts;

  constructor(parts: MountsParts) {
    this.#parts = parts;
  }

  /** Performs the mounts that need it, and answers with those and the ones that are left to the caller. */
  async activate(request: ActivateRequest, context: CallContext): Promise<ActivateResponse> {
    const namespace = namespaceOf(context);
    const { name, mounts, labels, temporary } = request;
    checkLabels(labels);
    checkLabelNames(labels);
    const lease = leaseOf(context);
    if (lease !== undefined && !await leaseExists(this.#parts.stores, namespace, lease)) {
      throw new Failure("NotFound", "lease does not exist");
    }
    const options = { labels, temporary, lease };
    const activation = await this.#parts.manager.activate(namespace, name, mounts, options, context.signal);
    return ActivateResponse.fromPartial({ info: infoOf(activation) });
  }

  /** Undoes an activation. */
  async deactivate({ name }: DeactivateRequest, context: CallContext): Promise<Empty> {
    await this.#parts.manager.deactivate(namespaceOf(context), name, context.signal);
    return Empty.create();
  }

  /** Tells of an activation. */
  // deno-lint-ignore require-await -- what is thrown must reject
  async info({ name }: InfoRequest, context: CallContext): Promise<InfoResponse> {
    return InfoResponse.fromPartial({ info: infoOf(this.#parts.manager.info(namespaceOf(context), name)) });
  }

  /** Nothing of an activation can be changed, in containerd neither. */
  update(_request: UpdateRequest, _context: CallContext): Promise<UpdateResponse> {
    return Promise.reject(new Failure("NotImplemented", "not implemented"));
  }

  /** Tells of all activations; filters are not looked at, in containerd neither. */
  async *list(_request: ListRequest, context: CallContext): AsyncIterable<ListMessage> {
    for (const activation of this.#parts.manager.list(namespaceOf(context))) {
      yield ListMessage.fromPartial({ info: infoOf(activation) });
    }
  }
}

const mountOf = ({ type, source, target, options }: MountPart) => ({ type, source, target, options: [...options] });

function infoOf({ name, active, system, labels }: Activation): ActivationInfo {
  return ActivationInfo.fromPartial({
    name,
    active: active.map(({ mount, mountPoint, mountedAt }) => ({
      mount: mountOf(mount),
      mountPoint,
      mountedAt: wireTime(mountedAt),
    })),
    system: system.map(mountOf),
    labels,
  });
}
