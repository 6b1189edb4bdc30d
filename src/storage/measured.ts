import { Histogram, type Registry } from 'prom-client'
import { StoreError } from './sql.ts'

/** From a look-up by key (0.1 ms) to a statement that runs into its time limit. */
const BUCKETS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 15]

/** Calls of the stores by name, and how they ended; `rejected`: the domain said no (a full roster). */
export type StoreHistogram = Histogram<'store' | 'operation' | 'outcome'>

export const storeHistogram = (registry: Registry): StoreHistogram =>
  new Histogram({
    name: 'fernruf_store_seconds',
    help: 'Duration of calls of the stores.',
    labelNames: ['store', 'operation', 'outcome'],
    buckets: BUCKETS,
    registers: [registry],
  })

/** The store, with the duration of each call observed. */
export function measured<T extends object>(store: T, name: string, histogram: StoreHistogram): T {
  const wrapped = new Map<string, Method>()
  return new Proxy(store, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target)
      if (typeof key !== 'string' || typeof value !== 'function') return value
      const method = wrapped.get(key) ?? observe(target, value as Method, labelsOf(name, key), histogram)
      wrapped.set(key, method)
      return method
    },
  })
}

type Method = (...args: unknown[]) => Promise<unknown>
type Labels = { readonly store: string; readonly operation: string }

const labelsOf = (store: string, key: string): Labels => ({
  store,
  operation: key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
})

function observe(store: object, method: Method, labels: Labels, histogram: StoreHistogram): Method {
  return async (...args) => {
    const end = histogram.startTimer(labels)
    try {
      const result = await Reflect.apply(method, store, args)
      end({ outcome: 'ok' })
      return result
    } catch (error) {
      end({ outcome: error instanceof StoreError ? error.fault : 'rejected' })
      throw error
    }
  }
}
