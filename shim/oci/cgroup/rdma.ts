/**
 * `linux.resources.rdma`; the files are the same in both versions.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import { decimal } from "./amount.ts";
import type { Setting } from "./settings.ts";

/** One write per device. Throws `InvalidArgument` for a device's name or numbers that are none. */
export function rdmaSettings(rdma: Readonly<Record<string, unknown>>): Setting[] {
  return Object.entries(rdma).flatMap(([device, limits]) => {
    const property = `rdma["${device}"]`;
    if (!/^[^\s/]+$/.test(device)) {
      throw new Failure("InvalidArgument", `cannot set ${property}: want the name of an RDMA device`);
    }
    const { hcaHandles, hcaObjects } = Object(limits);
    const words = [device];
    if (hcaHandles !== undefined) words.push(`hca_handle=${decimal(hcaHandles, `${property}.hcaHandles`)}`);
    if (hcaObjects !== undefined) words.push(`hca_object=${decimal(hcaObjects, `${property}.hcaObjects`)}`);
    if (words.length === 1) return [];
    return [{ controller: "rdma", file: "rdma.max", value: words.join(" "), property }];
  });
}
