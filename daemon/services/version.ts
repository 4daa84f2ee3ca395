/**
 * `containerd.services.version.v1.Version`: what the daemon is.
 *
 * @module
 */
import type { VersionDefinition } from "../../api/gen/services/version/v1/version.ts";
import type { ServiceOf } from "../../api/rpc/definition.ts";
import { containerdVersion, revision } from "../../api/version.ts";

/** Tells version and revision to everybody; no namespace is needed. */
export class VersionService implements ServiceOf<typeof VersionDefinition> {
  version(): Promise<{ version: string; revision: string }> {
    return Promise.resolve({ version: containerdVersion, revision });
  }
}
