import { z } from 'zod'
import { DELIVERIES } from '../account/store.ts'
import { ADMIN_FAULTS, type Admin } from '../contract/admin.ts'

/** Characters of a secret key in base64: a large RSA key, armoured, with its subkeys. */
const MAX_KEY = 48 * 1024
const jid = z.string().min(1).max(3071)
const password = z.string().min(1).max(1024)
const delivery = z.enum(DELIVERIES)
const nothing = z.undefined()
const summary = z.object({
  jid: z.string(),
  isNumber: z.boolean(),
  createdAt: z.number(),
  isDisabled: z.boolean(),
  delivery: delivery.optional(),
  fingerprint: z.string().optional(),
  sessions: z.number().optional(),
})
const history = z.object({ messages: z.number(), oldest: z.number().optional(), newest: z.number().optional() })
const operatorKey = z.string().regex(/^[0-9a-f]{16}$/)
const rotation = z.object({
  operatorKey: z.string(),
  rewrapped: z.number(),
  left: z.number(),
  last: z.number().optional(),
})
const serverKey = z.object({
  fingerprint: z.string(),
  userId: z.string(),
  createdAt: z.number(),
  isCurrent: z.boolean(),
})
const fingerprint = z.string().regex(/^[0-9A-F]{40}$/)
const domain = z.string().min(1).max(1023)
const networkServer = z.object({ domain: z.string(), fingerprint: z.string() })
const secretKey = z.base64().min(1).max(MAX_KEY)

/** What may go over the socket: arguments and result of each call, checked on both sides. */
export const CALLS = {
  addAccount: { args: z.tuple([jid, password]), result: nothing },
  listAccounts: { args: z.tuple([jid.nullable(), z.int().min(1).max(1000)]), result: z.array(summary) },
  showAccount: { args: z.tuple([jid]), result: summary },
  setDisabled: { args: z.tuple([jid, z.boolean()]), result: nothing },
  setPassword: { args: z.tuple([jid, password]), result: nothing },
  setDelivery: { args: z.tuple([jid, delivery.nullable()]), result: nothing },
  isKeyListed: { args: z.tuple([jid]), result: z.boolean() },
  setKeyListed: { args: z.tuple([jid, z.boolean()]), result: nothing },
  deleteAccount: { args: z.tuple([jid]), result: nothing },
  showHistory: { args: z.tuple([jid]), result: history },
  deleteHistory: { args: z.tuple([jid, z.int().nullable()]), result: z.number() },
  serverKeys: { args: z.tuple([]), result: z.array(serverKey) },
  initServerKey: { args: z.tuple([]), result: serverKey },
  rotateServerKey: { args: z.tuple([]), result: serverKey },
  importServerKey: { args: z.tuple([secretKey]), result: serverKey },
  forgetServerKey: { args: z.tuple([fingerprint]), result: nothing },
  addNetworkServer: { args: z.tuple([domain, fingerprint]), result: nothing },
  removeNetworkServer: { args: z.tuple([domain]), result: nothing },
  networkServers: { args: z.tuple([]), result: z.array(networkServer) },
  rotateInboxKeys: { args: z.tuple([z.int().min(0)]), result: rotation },
  forgetInboxKeys: { args: z.tuple([operatorKey]), result: z.number() },
} as const satisfies Readonly<Record<keyof Admin, { readonly args: z.ZodType; readonly result: z.ZodType }>>

export const failure = z.object({ fault: z.enum(ADMIN_FAULTS), message: z.string() })

/** Runs one call on an Admin; the arguments have been checked. */
export const PERFORM: {
  readonly [N in keyof Admin]: (admin: Admin, args: z.output<(typeof CALLS)[N]['args']>) => Promise<unknown>
} = {
  addAccount: (admin, [to, word]) => admin.addAccount(to, word),
  listAccounts: (admin, [after, limit]) => admin.listAccounts(after ?? undefined, limit),
  showAccount: (admin, [of]) => admin.showAccount(of),
  setDisabled: (admin, [of, disabled]) => admin.setDisabled(of, disabled),
  setPassword: (admin, [of, word]) => admin.setPassword(of, word),
  setDelivery: (admin, [of, policy]) => admin.setDelivery(of, policy ?? undefined),
  isKeyListed: (admin, [of]) => admin.isKeyListed(of),
  setKeyListed: (admin, [of, isListed]) => admin.setKeyListed(of, isListed),
  deleteAccount: (admin, [of]) => admin.deleteAccount(of),
  showHistory: (admin, [of]) => admin.showHistory(of),
  deleteHistory: (admin, [of, before]) => admin.deleteHistory(of, before ?? undefined),
  serverKeys: (admin) => admin.serverKeys(),
  initServerKey: (admin) => admin.initServerKey(),
  rotateServerKey: (admin) => admin.rotateServerKey(),
  importServerKey: (admin, [key]) => admin.importServerKey(key),
  forgetServerKey: (admin, [key]) => admin.forgetServerKey(key),
  addNetworkServer: (admin, [to, key]) => admin.addNetworkServer(to, key),
  removeNetworkServer: (admin, [to]) => admin.removeNetworkServer(to),
  networkServers: (admin) => admin.networkServers(),
  rotateInboxKeys: (admin, [after]) => admin.rotateInboxKeys(after),
  forgetInboxKeys: (admin, [key]) => admin.forgetInboxKeys(key),
}

/** Checks and performs one call. @throws z.ZodError for arguments that do not fit */
export function perform<N extends keyof Admin>(admin: Admin, name: N, args: unknown): Promise<unknown> {
  return PERFORM[name](admin, CALLS[name].args.parse(args) as z.output<(typeof CALLS)[N]['args']>)
}
