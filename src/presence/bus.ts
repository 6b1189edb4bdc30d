/**
 * Frames between the nodes of one network. Loses silently and keeps the order of one sender to one receiver; what must not be
 * lost is in the store before a frame tells of it.
 */
export interface Bus {
  /** This node's id. */
  readonly node: string
  send(node: string, frame: Uint8Array): void
  /** To all other nodes. */
  publish(frame: Uint8Array): void
  listen(receive: (frame: Uint8Array) => void): void
  close(): void
}
