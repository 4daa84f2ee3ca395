/**
 * Network devices and their addresses by rtnetlink(7), in this process's network namespace or another one.
 *
 * @module
 */
import { flags } from "./constants.ts";
import { Descriptor, openFile } from "./descriptor.ts";
import { SyscallError } from "./errno.ts";
import { call } from "./syscall.ts";

/** Sizes of struct nlmsghdr, struct ifinfomsg, struct ifaddrmsg and of an attribute's header (linux/netlink.h and others). */
const headerSize = 16, linkSize = 16, addressSize = 8, attributeSize = 4;

/** As large as the kernel makes its answers. */
const answerBytesMax = 32_768;

/** A device. */
export interface NetworkLink {
  readonly index: number;
  readonly name: string;
}

/** An address that was configured, and not given by a router or made up by the kernel. */
export interface NetworkAddress {
  /** AF_INET or AF_INET6. */
  readonly family: number;
  readonly prefixLength: number;
  /** Attributes by type, as the kernel has them: address, local address and broadcast address. */
  readonly attributes: ReadonlyMap<number, Uint8Array>;
}

/** Descriptor of a network namespace that this thread is in for the length of `body`, which must not wait. */
function inside<T>(namespace: number, body: () => T): T {
  using own = openFile("/proc/thread-self/ns/net", flags("O_RDONLY"));
  call("setns", namespace, flags("CLONE_NEWNET"));
  try {
    return body();
  } finally {
    call("setns", own.number, flags("CLONE_NEWNET"));
  }
}

/** A conversation with a network namespace's kernel side. The kernel answers before a request's system call returns. */
export class Netlink implements Disposable {
  #sequence = 0;

  private constructor(readonly socket: Descriptor) {}

  /** @param namespace a descriptor of the namespace; this process's own without */
  static open(namespace?: number): Netlink {
    const type = flags("SOCK_RAW", "SOCK_CLOEXEC", "SOCK_NONBLOCK");
    const open = (): number => call("socket", flags("AF_NETLINK"), type, 0);
    return new Netlink(new Descriptor(namespace === undefined ? open() : inside(namespace, open)));
  }

  /** The devices. */
  links(): NetworkLink[] {
    const name = flags("IFLA_IFNAME");
    return this.#ask(flags("RTM_GETLINK"), flags("NLM_F_DUMP"), new Uint8Array(linkSize)).map((body) => {
      const text = attributesOf(body, linkSize).get(name) ?? new Uint8Array();
      return { index: viewOf(body).getInt32(4, true), name: new TextDecoder().decode(text).replace(/\0.*$/, "") };
    });
  }

  /** The configured addresses of a device that are valid everywhere. */
  addresses(index: number): NetworkAddress[] {
    const kept = [flags("IFA_ADDRESS"), flags("IFA_LOCAL"), flags("IFA_BROADCAST")];
    const found = this.#ask(flags("RTM_GETADDR"), flags("NLM_F_DUMP"), new Uint8Array(addressSize));
    return found.flatMap((body) => {
      // struct ifaddrmsg: family, prefix length, flags, scope, index.
      const [family = 0, prefixLength = 0, bits = 0, scope = 0] = body;
      const isWanted = viewOf(body).getUint32(4, true) === index && (bits & flags("IFA_F_PERMANENT")) !== 0;
      if (!isWanted || scope !== flags("RT_SCOPE_UNIVERSE")) return [];
      const attributes = [...attributesOf(body, addressSize)].filter(([type]) => kept.includes(type));
      return [{ family, prefixLength, attributes: new Map(attributes) }];
    });
  }

  /** Gives a device an address. */
  addAddress(index: number, { family, prefixLength, attributes }: NetworkAddress): void {
    const body = new Uint8Array(addressSize);
    body.set([family, prefixLength]);
    viewOf(body).setUint32(4, index, true);
    const words = [...attributes].map(([type, value]) => attribute(type, value));
    this.#ask(flags("RTM_NEWADDR"), flags("NLM_F_CREATE", "NLM_F_REPLACE", "NLM_F_ACK"), joined(body, ...words));
  }

  /** Switches a device on or off. */
  setUp(index: number, isUp: boolean): void {
    const up = flags("IFF_UP");
    this.#ask(flags("RTM_NEWLINK"), flags("NLM_F_ACK"), linkBody(index, isUp ? up : 0, up));
  }

  /** Moves a device into another namespace under a name, in one step: no other name is seen there. */
  move(index: number, namespace: number, name: string): void {
    const number = new Uint8Array(4);
    viewOf(number).setInt32(0, namespace, true);
    const words = [
      attribute(flags("IFLA_NET_NS_FD"), number),
      attribute(flags("IFLA_IFNAME"), new TextEncoder().encode(`${name}\0`)),
    ];
    this.#ask(flags("RTM_NEWLINK"), flags("NLM_F_ACK"), joined(linkBody(index, 0, 0), ...words));
  }

  /** Asks, and gives the bodies of the answers. Throws {@link SyscallError} with the kernel's reason. */
  #ask(type: number, more: number, body: Uint8Array): Uint8Array[] {
    const header = new Uint8Array(headerSize);
    const view = viewOf(header);
    view.setUint32(0, headerSize + body.length, true);
    view.setUint16(4, type, true);
    view.setUint16(6, flags("NLM_F_REQUEST") | more, true);
    view.setUint32(8, ++this.#sequence, true);
    const message = joined(header, body);
    call("sendto", this.socket.number, message, message.length, 0, 0, 0);
    const bodies: Uint8Array[] = [];
    for (;;) {
      const answer = new Uint8Array(answerBytesMax);
      const length = call("read", this.socket.number, answer, answer.length);
      if (this.#take(answer.subarray(0, length), bodies)) return bodies;
    }
  }

  /** Takes the messages of one answer; true after the last one. */
  #take(answer: Uint8Array, bodies: Uint8Array[]): boolean {
    for (let at = 0; at + headerSize <= answer.length;) {
      const view = viewOf(answer.subarray(at));
      const length = view.getUint32(0, true), type = view.getUint16(4, true);
      if (length < headerSize || at + length > answer.length) throw new RangeError("netlink: a broken answer");
      if (type === flags("NLMSG_DONE")) return true;
      if (type === flags("NLMSG_ERROR")) {
        const result = view.getInt32(headerSize, true);
        if (result < 0) throw new SyscallError("netlink", -result);
        return true;
      }
      if (view.getUint32(8, true) === this.#sequence) bodies.push(answer.slice(at + headerSize, at + length));
      at += aligned(length);
    }
    return false;
  }

  [Symbol.dispose](): void {
    this.socket.close();
  }
}

/** struct ifinfomsg: family, type, index, flags, mask of the flags that change. */
function linkBody(index: number, bits: number, changed: number): Uint8Array {
  const body = new Uint8Array(linkSize);
  const view = viewOf(body);
  view.setInt32(4, index, true);
  view.setUint32(8, bits, true);
  view.setUint32(12, changed, true);
  return body;
}

function attribute(type: number, value: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(aligned(attributeSize + value.length));
  viewOf(bytes).setUint16(0, attributeSize + value.length, true);
  viewOf(bytes).setUint16(2, type, true);
  bytes.set(value, attributeSize);
  return bytes;
}

function attributesOf(body: Uint8Array, from: number): Map<number, Uint8Array> {
  const attributes = new Map<number, Uint8Array>();
  for (let at = from; at + attributeSize <= body.length;) {
    const view = viewOf(body.subarray(at));
    const length = view.getUint16(0, true);
    if (length < attributeSize || at + length > body.length) break;
    // The two highest bits say how the value is built.
    attributes.set(view.getUint16(2, true) & 0x3fff, body.slice(at + attributeSize, at + length));
    at += aligned(length);
  }
  return attributes;
}

const aligned = (length: number): number => (length + 3) & ~3;

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function joined(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  parts.reduce((at, part) => {
    bytes.set(part, at);
    return at + part.length;
  }, 0);
  return bytes;
}
