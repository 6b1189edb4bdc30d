import { z } from 'zod'
import { configSchema, type FeatureSection } from './schema.ts'

/** The config as JSON Schema (draft 7), for editors and for Helm: `config/fernruf.schema.json`. */
export function jsonSchema(features: readonly FeatureSection[]): string {
  const schema = z.toJSONSchema(configSchema(features), { io: 'input', target: 'draft-7', unrepresentable: 'any' })
  return `${JSON.stringify({ ...schema, title: 'Fernruf config' }, null, 2)}\n`
}
