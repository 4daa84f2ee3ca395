/**
 * Addresses of IPv4 and IPv6, and networks of them.
 *
 * @module
 */

/** An address as a number; an IPv4 address that is written as one of IPv6 is one of IPv4. */
export interface Address {
  readonly bits: 32 | 128;
  readonly value: bigint;
}

/** All addresses with the same first bits. */
export interface Network {
  readonly address: Address;
  readonly prefixBits: number;
}

/** The address that the text is; undefined where it is none. */
export function parseAddress(text: string): Address | undefined {
  if (!text.includes(":")) {
    const value = parseV4(text);
    return value === undefined ? undefined : { bits: 32, value };
  }
  const value = parseV6(text);
  if (value === undefined) return undefined;
  return value >> 32n === 0xffffn ? { bits: 32, value: value & 0xffffffffn } : { bits: 128, value };
}

/** The network that the text (`10.0.0.0/8`) is; undefined where it is none. */
export function parseNetwork(text: string): Network | undefined {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(text);
  const address = match === null ? undefined : parseAddress(match[1]!);
  if (address === undefined) return undefined;
  const written = match![1]!.includes(":") ? 128 : 32;
  if (Number(match![2]) > written) return undefined;
  const prefixBits = Number(match![2]) - (written - address.bits);
  return prefixBits < 0 ? undefined : { address, prefixBits };
}

/** Whether the address is one of the network's. */
export function contains({ address: first, prefixBits }: Network, address: Address): boolean {
  const rest = BigInt(first.bits - prefixBits);
  return first.bits === address.bits && first.value >> rest === address.value >> rest;
}

function parseV4(text: string): bigint | undefined {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256)) {
    return undefined;
  }
  return parts.reduce((value, part) => (value << 8n) | BigInt(part), 0n);
}

function parseV6(text: string): bigint | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [head, tail] = halves.map(groupsOf);
  if (head === undefined || (halves.length === 2 && tail === undefined)) return undefined;
  const missing = 8 - head.length - (tail?.length ?? 0);
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const groups = [...head, ...Array<number>(halves.length === 1 ? 0 : missing).fill(0), ...tail ?? []];
  return groups.reduce((value, group) => (value << 16n) | BigInt(group), 0n);
}

/** The numbers between the colons; an address of IPv4 at the end is two of them. */
function groupsOf(text: string): number[] | undefined {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (const [index, part] of parts.entries()) {
    const v4 = index === parts.length - 1 && part.includes(".") ? parseV4(part) : undefined;
    if (v4 !== undefined) groups.push(Number(v4 >> 16n), Number(v4 & 0xffffn));
    else if (/^[0-9a-f]{1,4}$/i.test(part)) groups.push(Number.parseInt(part, 16));
    else return undefined;
  }
  return groups;
}
