import { writeFileSync } from 'node:fs'
import { jsonSchema } from '../src/config/json-schema.ts'
import { FEATURES } from '../src/features/index.ts'

/** Writes config/fernruf.schema.json; a unit test compares. */
writeFileSync(new URL('../config/fernruf.schema.json', import.meta.url), jsonSchema(FEATURES))
