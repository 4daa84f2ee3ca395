/**
 * Seccomp profiles as docker writes them: an OCI profile whose rules may depend on architecture, capabilities and
 * kernel (moby `profiles/seccomp`), resolved for one container.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import type { Seccomp, SeccompSyscall } from "../../api/oci/runtime_spec.ts";
import type { Arch } from "../../ffi/arch.ts";
import { parseJson } from "../../shim/oci/spec/json.ts";

/** When a rule counts; each list that is there must fit. */
export interface ProfileCondition {
  readonly caps?: readonly string[];
  /** Go's names: `amd64`, `arm64`. */
  readonly arches?: readonly string[];
  /** `4.8`: this kernel or later. */
  readonly minKernel?: string;
}

/** A rule with conditions. */
export interface ProfileRule extends SeccompSyscall {
  /** One name, in old profiles. */
  readonly name?: string;
  readonly includes?: ProfileCondition;
  readonly excludes?: ProfileCondition;
}

/** A profile of docker or of the runtime specification, which is one without conditions. */
export interface SeccompProfile extends Omit<Seccomp, "syscalls"> {
  readonly archMap?: readonly { readonly architecture: string; readonly subArchitectures?: readonly string[] | null }[];
  readonly syscalls?: readonly ProfileRule[];
}

/** For whom a profile is resolved. */
export interface ProfileSubject {
  readonly arch: Arch;
  /** The container's bounding set. */
  readonly capabilities: readonly string[];
  /** As `uname -r`. */
  readonly kernel: string;
}

const goNames: Readonly<Record<Arch, string>> = { x86_64: "amd64", aarch64: "arm64" };
const ociNames: Readonly<Record<Arch, string>> = { x86_64: "SCMP_ARCH_X86_64", aarch64: "SCMP_ARCH_AARCH64" };

/** The profile without conditions. Throws `InvalidArgument` where it names architectures in both ways. */
export function resolveProfile(profile: SeccompProfile, subject: ProfileSubject): Seccomp {
  const { archMap, syscalls, ...rest } = profile;
  const resolved: Seccomp = { ...rest };
  if (archMap !== undefined && archMap.length > 0) {
    if (profile.architectures !== undefined && profile.architectures.length > 0) {
      throw new Failure("InvalidArgument", "a seccomp profile has both architectures and archMap: want one of them");
    }
    const entry = archMap.find(({ architecture }) => architecture === ociNames[subject.arch]);
    if (entry !== undefined) resolved.architectures = [entry.architecture, ...entry.subArchitectures ?? []];
  }
  resolved.syscalls = (syscalls ?? []).filter((rule) => applies(rule, subject)).map(plainRule);
  return resolved;
}

function applies({ includes, excludes }: ProfileRule, subject: ProfileSubject): boolean {
  const hasAll = (caps: readonly string[]) => caps.every((name) => subject.capabilities.includes(name));
  const isNew = (version: string) => !olderThan(subject.kernel, version);
  const arch = goNames[subject.arch];
  if (includes?.arches !== undefined && includes.arches.length > 0 && !includes.arches.includes(arch)) return false;
  if (includes?.caps !== undefined && !hasAll(includes.caps)) return false;
  if (includes?.minKernel !== undefined && !isNew(includes.minKernel)) return false;
  // One of the excluded is enough, where all of the included are needed.
  if (excludes?.arches?.includes(arch)) return false;
  if (excludes?.caps?.some((name) => subject.capabilities.includes(name))) return false;
  return excludes?.minKernel === undefined || !isNew(excludes.minKernel);
}

/** Compares major and minor numbers; what follows them does not count. */
function olderThan(kernel: string, version: string): boolean {
  const [major = 0, minor = 0] = kernel.split(/[.-]/).map(Number);
  const [wantMajor = 0, wantMinor = 0] = version.split(".").map(Number);
  return major < wantMajor || (major === wantMajor && minor < wantMinor);
}

function plainRule({ name, names, action, errnoRet, args }: ProfileRule): SeccompSyscall {
  return {
    names: name === undefined ? names : [name],
    action,
    ...(errnoRet === undefined ? {} : { errnoRet }),
    ...(args === undefined ? {} : { args }),
  };
}

/** Reads the profile of a file. Throws `InvalidArgument` where it is none. */
export function parseSeccompProfile(path: string, text: string): SeccompProfile {
  const value = parseJson(text, `seccomp profile "${path}"`);
  if (typeof value !== "object" || value === null || !("defaultAction" in value)) {
    throw new Failure("InvalidArgument", `seccomp profile "${path}" has no defaultAction`);
  }
  // The compiler looks at every field that it uses and names what is wrong.
  return value as SeccompProfile;
}
