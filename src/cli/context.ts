import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { loadConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import type { Admin } from '../contract/admin.ts'
import { FEATURES } from '../features/index.ts'
import { connectAdmin } from '../http/admin-client.ts'
import { openAdmin } from '../server.ts'
import { type Call, UsageError } from './args.ts'

/** `--config`, else `FERNRUF_CONFIG`, else the development config of a checkout. @throws UsageError when there is none */
export function configFile({ options, env }: Pick<Call, 'options' | 'env'>): string {
  const named = options.config ?? env.FERNRUF_CONFIG
  if (typeof named === 'string' && named !== '') return named
  const development = join(import.meta.dirname, '../../config/dev.yaml')
  if (existsSync(development)) return development
  throw new UsageError('expected --config FILE or FERNRUF_CONFIG')
}

/** @throws ConfigError UsageError */
export function configOf(call: Pick<Call, 'options' | 'env'>): Config {
  return loadConfig(configFile(call), call.env, FEATURES)
}

/** Lets `work` use the running server, or the store itself when none runs. */
export async function withAdmin<T>(call: Call, work: (admin: Admin) => Promise<T>): Promise<T> {
  const config = configOf(call)
  const running = await connectAdmin(config.data_dir)
  if (running !== undefined) return await work(running)
  const store = await openAdmin(config)
  try {
    return await work(store)
  } finally {
    await store.close()
  }
}
