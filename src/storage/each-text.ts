import type { Sql } from './sql.ts'

/** A parameter that holds a JSON array of texts, as a table `e` with the column `value`. */
export const eachText = ({ dialect }: Sql, param: `$${number}`): string =>
  dialect === 'postgres' ? `json_array_elements_text(${param}::json) as e(value)` : `json_each(${param}) as e`
