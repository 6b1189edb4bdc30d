import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { FeatureContext, MetricSpec, Metrics } from '../contract/feature.ts'

/** The metrics of a set of specs, under the names their owner gave them. */
export type Built<M extends Metrics> = FeatureContext<unknown, M, never>['metrics']

/** The event loop is woken this often to see how late it is, also while nothing happens: not oftener than an idle server may cost. */
const LOOP_LAG_MS = 100

/** The one registry, made by server.ts and passed on; nothing registers on import. */
export class MetricRegistry {
  readonly #registry = new Registry()

  /** @param process adds memory, CPU, event-loop delay and garbage collection of this process */
  constructor(options: { readonly process: boolean }) {
    if (!options.process) return
    const eventLoopMonitoringPrecision = LOOP_LAG_MS
    collectDefaultMetrics({ register: this.#registry, prefix: 'fernruf_', eventLoopMonitoringPrecision })
  }

  /** Creates and registers one metric for each spec. @throws Error when a name is taken */
  build<const M extends Metrics>(specs: M): Built<M> {
    const built = Object.entries(specs).map(([name, spec]) => [name, this.#create(spec)] as const)
    return Object.fromEntries(built) as unknown as Built<M>
  }

  /** A gauge that is read when the page is asked for. */
  gauge(name: `fernruf_${string}`, help: string, read: () => number): void {
    const gauge: Gauge = new Gauge({ name, help, registers: [this.#registry], collect: () => gauge.set(read()) })
  }
  /** A counter whose numbers are kept elsewhere, read when the page is asked for. */
  tally(
    name: `fernruf_${string}_total`,
    help: string,
    labels: readonly string[],
    read: () => Iterable<readonly [Readonly<Record<string, string>>, number]>,
  ): void {
    const counter: Counter = new Counter({
      name,
      help,
      labelNames: [...labels],
      registers: [this.#registry],
      collect: () => {
        counter.reset()
        for (const [values, count] of read()) if (count > 0) counter.inc(values, count)
      },
    })
  }
  /** For metrics that another part makes. */
  get registry(): Registry {
    return this.#registry
  }

  #create({ type, name, help, labels = [], buckets }: MetricSpec): Counter | Gauge | Histogram {
    const common = { name, help, labelNames: [...labels], registers: [this.#registry] }
    if (type === 'counter') return new Counter(common)
    if (type === 'gauge') return new Gauge(common)
    return new Histogram(buckets === undefined ? common : { ...common, buckets: [...buckets] })
  }

  /** The page for Prometheus, with its content type. */
  async page(): Promise<{ readonly type: string; readonly text: string }> {
    return { type: this.#registry.contentType, text: await this.#registry.metrics() }
  }
}
