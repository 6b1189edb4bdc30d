import { write } from './match-element.ts'
import { type ConnectionSettings, XmppConnection } from './xmpp-connection.ts'

/** Makes an account over the wire by plain XEP-0077, before authentication. @throws Error when the server refuses */
export async function register(settings: ConnectionSettings, username: string, password: string): Promise<void> {
  const connection = await XmppConnection.open(settings)
  if (settings.directTls !== true) await connection.startTls()
  await connection.openStream()
  await connection.features()
  connection.write(
    `<iq type='set' id='reg' to='${settings.domain}'><query xmlns='jabber:iq:register'><username>${username}</username><password>${password}</password></query></iq>`,
  )
  const answer = await connection.element()
  connection.destroy()
  if (answer.attrs.type !== 'result') throw new Error(`registration of ${username} was refused: ${write(answer)}`)
}
