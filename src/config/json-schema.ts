import { z } from 'zod'
import { configSchema, type FeatureSection } from './schema.ts'

/** The config as JSON Schema (draft 7), for editors and for Helm: `config/fernruf.schema.json`. */
export function jsonSchema(features: readonly FeatureSection[]): string {
  const schema = z.toJSONSchema(configSchema(features), {
    io: 'input',
    target: 'draft-7',
    unrepresentable: 'any',
    override: ({ jsonSchema: node }) => allowSecretFiles(node),
  })
  return `${JSON.stringify({ ...schema, title: 'Fernruf config' }, null, 2)}\n`
}

/** A required secret is also there when its `_file` is. */
function allowSecretFiles(node: z.core.JSONSchema.BaseSchema): void {
  const secrets = node.required?.filter((key) => node.properties?.[`${key}_file`] !== undefined) ?? []
  if (secrets.length === 0) return
  node.required = node.required?.filter((key) => !secrets.includes(key)) ?? []
  node.allOf = secrets.map((key) => ({ anyOf: [{ required: [key] }, { required: [`${key}_file`] }] }))
}
