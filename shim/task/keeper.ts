/**
 * Who is told what a successor of the shim would have to know of its containers.
 *
 * @module
 */
import type { Container } from "./container.ts";

/** All of it is done in a while, so that no answer waits for it. */
export interface Keeper {
  /** A process was added, made, or has ended. */
  changed(container: Container): void;
  /** Descriptors came that a client may use at once: a successor must have them, should this shim die now. */
  more(container: Container): void;
  /** Descriptors were closed: whoever has duplicates of them must close them as well, as somebody waits for their end. */
  less(container: Container): void;
  /** It was deleted. */
  gone(container: Container): void;
}
