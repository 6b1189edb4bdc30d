import type { Config } from '../config/schema.ts'
import { enabledOf, type Feature } from '../contract/feature.ts'
import { FEATURES } from '../features/index.ts'
import { type StoreHistogram, storeHistogram } from '../storage/measured.ts'
import { createLogs, type LogOptions, type Logs } from '../telemetry/log.ts'
import { type Built, MetricRegistry } from '../telemetry/metrics.ts'
import { Wheel } from '../util/wheel.ts'
import type { Core } from './core.ts'
import { SERVER_METRICS } from './metrics.ts'

const TICK_MS = 100

/** What every part of a running server is made with. */
export interface Base {
  readonly config: Config
  readonly core: Core
  readonly logs: Logs
  readonly metrics: Built<typeof SERVER_METRICS>
  readonly metricRegistry: MetricRegistry
  readonly time: StoreHistogram
  readonly wheel: Wheel
  readonly enabled: readonly Feature[]
  isOn(feature: string): boolean
  /** What must be taken down again when the server stops; the last first. */
  readonly teardown: Teardown
}

export function baseOf(
  config: Config,
  core: Core,
  teardown: Teardown,
  options: { readonly ownsProcess: boolean; readonly log?: LogOptions['destination'] },
): Base {
  const enabled = enabledOf(FEATURES, config.features)
  const names = new Set(enabled.map((feature) => feature.name))
  const metricRegistry = new MetricRegistry({ process: options.ownsProcess })
  const wheel = new Wheel(TICK_MS)
  teardown.add(() => wheel.stop())
  return {
    config,
    core,
    logs: createLogs({
      level: config.log.level,
      format: config.log.format,
      tagKey: core.root.derive('log tags'),
      ...(options.log === undefined ? {} : { destination: options.log }),
    }),
    metrics: metricRegistry.build(SERVER_METRICS),
    metricRegistry,
    time: storeHistogram(metricRegistry.registry),
    wheel,
    enabled,
    isOn: (feature) => names.has(feature),
    teardown,
  }
}

/** Steps that are taken in reverse order. */
export class Teardown {
  readonly #steps: (() => unknown)[] = []
  add(step: () => unknown): void {
    this.#steps.push(step)
  }
  async run(): Promise<void> {
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) await step()
  }
}
