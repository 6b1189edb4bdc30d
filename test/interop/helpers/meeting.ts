import type { TestContext } from 'node:test'
import type { Credentials, Device, Login } from './device.ts'
import { InteropServer } from './interop-server.ts'

const PASSWORD = 'correct horse'

/** One server and whoever logs in to it; all of it ends with the test. */
export class Meeting {
  readonly server: InteropServer
  readonly #devices: Device[] = []

  private constructor(server: InteropServer) {
    this.server = server
  }

  static async open(t: TestContext): Promise<Meeting> {
    const meeting = new Meeting(await InteropServer.start())
    t.after(async () => {
      await Promise.allSettled(meeting.#devices.map((device) => device.stop()))
      await meeting.server.stop()
    })
    return meeting
  }

  /** A new account, registered in-band by this client. */
  newcomer<D extends Device>(login: Login<D>, user: string): Promise<D> {
    return this.device(login, { user, password: PASSWORD, resource: 'first', register: true })
  }
  /** One more device of an account, or the same again. */
  again<D extends Device>(login: Login<D>, user: string, resource = 'first'): Promise<D> {
    return this.device(login, { user, password: PASSWORD, resource, register: false })
  }
  async device<D extends Device>(login: Login<D>, credentials: Credentials): Promise<D> {
    const device = await login(this.server, credentials)
    this.#devices.push(device)
    return device
  }
}
