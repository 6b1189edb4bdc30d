/** What our program uses of a package that comes without types. */
declare module '@xmpp/client' {
  interface XmlElement {
    readonly name: string
    readonly attrs: Readonly<Record<string, string | undefined>>
    children: (XmlElement | string)[]
    is(name: string, ns?: string): boolean
    getChild(name: string, ns?: string): XmlElement | undefined
    getChildren(name: string, ns?: string): XmlElement[]
    getChildText(name: string, ns?: string): string | null
  }
  interface Credentials {
    readonly username: string
    readonly password: string
  }
  interface IqContext {
    readonly element: XmlElement
  }
  interface XmppClient {
    timeout: number
    /** Its wrapper of TLS, with the connection in it. */
    readonly socket: { readonly socket: { destroy(): void } | null } | null
    readonly reconnect: { start(): void; stop(): void; reconnect(): Promise<void> }
    readonly streamManagement: {
      inbound: number
      readonly id: string
      readonly enabled: boolean
      on(event: 'resumed', listener: () => void): void
      on(event: 'ack', listener: (stanza: XmlElement) => void): void
    }
    readonly iqCaller: {
      get(query: XmlElement): Promise<XmlElement>
      request(iq: XmlElement): Promise<XmlElement>
    }
    readonly iqCallee: { set(ns: string, name: string, answer: (context: IqContext) => object): void }
    prependListener(event: 'element', listener: (element: XmlElement) => void): void
    on(event: 'online', listener: (address: { toString(): string }) => void): void
    on(event: 'disconnect', listener: () => void): void
    on(event: 'element' | 'stanza' | 'nonza' | 'send', listener: (stanza: XmlElement) => void): void
    on(event: 'error', listener: (error: Error) => void): void
    send(element: XmlElement): Promise<void>
    start(): Promise<unknown>
    stop(): Promise<unknown>
  }
  type Authenticate = (credentials: Credentials, mechanism: string) => Promise<void>
  export function xml(name: string, attrs?: Readonly<Record<string, string>>, ...children: unknown[]): XmlElement
  interface ClientOptions {
    readonly service: string
    readonly domain: string
    readonly resource: string
  }
  type ClientCredentials =
    | { readonly credentials: (authenticate: Authenticate, mechanisms: readonly string[]) => Promise<void> }
    | Credentials
  export function client(options: ClientOptions & ClientCredentials): XmppClient
}
