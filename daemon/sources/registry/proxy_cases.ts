/**
 * What `NO_PROXY` means for a host, for tests here and against Go's own programs.
 *
 * @module
 */

/** An entry, a host with its port, and whether that is spoken to directly. */
export const noProxyCases: readonly (readonly [noProxy: string, host: string, isDirect: boolean])[] = [
  ["", "reg.test:5000", false],
  ["*", "reg.test:5000", true],
  ["other, *", "reg.test:5000", true],
  ["reg.test", "reg.test:5000", true],
  [" REG.Test ,x", "reg.test:5000", true],
  ["reg.test", "a.reg.test:5000", true],
  ["reg.test", "areg.test:5000", false],
  [".reg.test", "a.reg.test:5000", true],
  [".reg.test", "reg.test:5000", false],
  ["*.reg.test", "a.b.reg.test:5000", true],
  ["*.reg.test", "reg.test:5000", false],
  ["*.reg.test:5000", "a.reg.test:5000", true],
  ["*.reg.test:5001", "a.reg.test:5000", false],
  ["reg.test:5000", "reg.test:5000", true],
  ["reg.test:5001", "reg.test:5000", false],
  ["reg.*", "reg.test:5000", false],
  ["192.0.2.0/24", "192.0.2.7:5000", true],
  ["192.0.2.0/30", "192.0.2.7:5000", false],
  ["192.0.2.7", "192.0.2.7:5000", true],
  ["192.0.2.7:5000", "192.0.2.7:5000", true],
  ["192.0.2.7:80", "192.0.2.7:5000", false],
  ["::ffff:192.0.2.7", "192.0.2.7:5000", true],
  ["2001:db8::/32", "[2001:db8::1]:5000", true],
  ["2001:db8::1", "[2001:db8::1]:5000", true],
  ["[2001:db8::1]:5000", "[2001:db8::1]:5000", true],
  ["[2001:db8::1]", "[2001:db8::1]:5000", false],
  ["", "127.0.0.2:5000", true],
  ["", "localhost:5000", true],
];
