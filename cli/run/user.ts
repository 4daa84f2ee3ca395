/**
 * Who a container's process is: names of the image's `/etc/passwd` and `/etc/group` as numbers, by docker's rules.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";

/** A user as the kernel knows it. */
export interface ResolvedUser {
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups; the first one is `gid`, so that dropping supplementary groups gains nothing. */
  readonly additionalGids: readonly number[];
  /** The home directory in the image's passwd, else `/`. */
  readonly home: string;
}

/** Contents of the image's files; empty where there is none. */
export interface UserFiles {
  readonly passwd: string;
  readonly group: string;
}

/** The kernel's largest; 2^31 and above would be negative for old programs. */
const mostId = 2 ** 31 - 1;

/**
 * The user of a text `NAME|UID[:GROUP|GID]`; empty is root. A number is always an id, never a name: an image must
 * not decide who user 1000 is (CVE-2016-3697). Throws `NotFound` for a name that the files lack, `OutOfRange` for an
 * id above 2^31-1.
 */
export function resolveUser(text: string, files: UserFiles): ResolvedUser {
  const colon = text.indexOf(":");
  const userText = colon < 0 ? text : text.slice(0, colon);
  const groupText = colon < 0 ? "" : text.slice(colon + 1);
  const users = passwdEntries(files.passwd);
  const groups = groupEntries(files.group);

  const wantedUid = userText === "" ? 0 : asId(userText);
  const user = users.find(({ name, uid }) => wantedUid === undefined ? name === userText : uid === wantedUid);
  if (wantedUid === undefined && user === undefined) throw missing("user", userText, "/etc/passwd");
  const uid = inRange(user?.uid ?? wantedUid ?? 0, "user");

  let gid = user?.gid ?? 0;
  let supplementary: number[] = [];
  if (groupText !== "") {
    const wantedGid = asId(groupText);
    const group = groups.find(({ name, gid }) => wantedGid === undefined ? name === groupText : gid === wantedGid);
    if (wantedGid === undefined && group === undefined) throw missing("group", groupText, "/etc/group");
    gid = group?.gid ?? wantedGid ?? 0;
  } else if (user !== undefined) {
    supplementary = groups.filter(({ members }) => members.includes(user.name)).map((group) => group.gid);
  }
  const additionalGids = [...new Set([gid, ...supplementary])].map((id) => inRange(id, "group"));
  return { uid, gid: inRange(gid, "group"), additionalGids, home: user?.home ?? "/" };
}

/** The number that the whole text is; a sign is accepted as docker does, to be refused as out of range. */
function asId(text: string): number | undefined {
  return /^[+-]?\d+$/.test(text) ? Number(text) : undefined;
}

function inRange(id: number, what: string): number {
  if (id >= 0 && id <= mostId) return id;
  throw new Failure("OutOfRange", `the container's ${what} id ${id} is out of range: want 0 to ${mostId}`);
}

function missing(what: string, name: string, file: string): Failure {
  return new Failure(
    "NotFound",
    `unable to find ${what} ${name}: no matching entries in the image's ${file}; an id as a number needs none`,
  );
}

interface PasswdEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

/** Lines whose ids are no numbers are as if they were not there: docker would read them as root. */
function passwdEntries(text: string): PasswdEntry[] {
  return lines(text).flatMap(([name = "", , uidText = "", gidText = "", , home = ""]) => {
    const [uid, gid] = [asId(uidText), asId(gidText)];
    return uid === undefined || gid === undefined ? [] : [{ name, uid, gid, home: home === "" ? "/" : home }];
  });
}

function groupEntries(text: string): { name: string; gid: number; members: string[] }[] {
  return lines(text).flatMap(([name = "", , gidText = "", members = ""]) => {
    const gid = asId(gidText);
    return gid === undefined ? [] : [{ name, gid, members: members.split(",") }];
  });
}

function lines(text: string): string[][] {
  return text.split("\n").map((line) => line.trim()).filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => line.split(":"));
}
