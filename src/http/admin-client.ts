import { request } from 'node:http'
import type { z } from 'zod'
import { type Admin, AdminError } from '../contract/admin.ts'
import { CALLS, failure } from './admin-calls.ts'
import { isAnswered, socketPath } from './admin-socket.ts'

type Result<N extends keyof Admin> = z.output<(typeof CALLS)[N]['result']>

/** Speaks to the server that runs on a data folder; undefined when none does. */
export async function connectAdmin(dataDir: string): Promise<Admin | undefined> {
  const path = socketPath(dataDir)
  if (!(await isAnswered(path))) return undefined
  const call = async <N extends keyof Admin>(name: N, ...args: unknown[]): Promise<Result<N>> => {
    const { status, body } = await post(path, name, JSON.stringify(args))
    if (status !== 200) {
      const { fault, message } = failure.parse(body)
      throw new AdminError(fault, message)
    }
    return CALLS[name].result.parse((body as { result?: unknown }).result) as Result<N>
  }
  return {
    addAccount: (jid, password) => call('addAccount', jid, password),
    listAccounts: async (after, limit) => (await call('listAccounts', after ?? null, limit)).map(withAbsent),
    showAccount: async (jid) => withAbsent(await call('showAccount', jid)),
    setDisabled: (jid, disabled) => call('setDisabled', jid, disabled),
    setPassword: (jid, password) => call('setPassword', jid, password),
    setDelivery: (jid, delivery) => call('setDelivery', jid, delivery ?? null),
    isKeyListed: (jid) => call('isKeyListed', jid),
    setKeyListed: (jid, isListed) => call('setKeyListed', jid, isListed),
    deleteAccount: (jid) => call('deleteAccount', jid),
    showHistory: async (jid) => {
      const { messages, oldest, newest } = await call('showHistory', jid)
      return { messages, oldest, newest }
    },
    deleteHistory: (jid, before) => call('deleteHistory', jid, before ?? null),
    serverKeys: () => call('serverKeys'),
    initServerKey: () => call('initServerKey'),
    rotateServerKey: () => call('rotateServerKey'),
    importServerKey: (key) => call('importServerKey', key),
    forgetServerKey: (fingerprint) => call('forgetServerKey', fingerprint),
    addNetworkServer: (domain, fingerprint) => call('addNetworkServer', domain, fingerprint),
    removeNetworkServer: (domain) => call('removeNetworkServer', domain),
    networkServers: () => call('networkServers'),
    rotateInboxKeys: async (after) => {
      const { last, ...rest } = await call('rotateInboxKeys', after)
      return { ...rest, last }
    },
    forgetInboxKeys: (operatorKey) => call('forgetInboxKeys', operatorKey),
  }
}

/** JSON has no undefined: what is absent is put back. */
const withAbsent = ({ delivery, fingerprint, sessions, ...rest }: Result<'showAccount'>) => ({
  ...rest,
  delivery,
  fingerprint,
  sessions,
})

function post(path: string, name: string, json: string): Promise<{ readonly status: number; readonly body: unknown }> {
  return new Promise((resolve, reject) => {
    const lost = (cause: unknown): void =>
      reject(new AdminError('unavailable', 'the running server did not answer', { cause }))
    const call = request({ socketPath: path, path: `/${name}`, method: 'POST', agent: false }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', lost)
      response.on('end', () => {
        try {
          resolve({ status: response.statusCode ?? 0, body: JSON.parse(Buffer.concat(chunks).toString('utf8')) })
        } catch (error) {
          lost(error)
        }
      })
    })
    call.on('error', lost)
    call.end(json)
  })
}
