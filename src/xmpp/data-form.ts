import { child, children, type Element, el, textOf } from './element.ts'
import { NS_DATA } from './ns.ts'

export type FormType = 'form' | 'submit' | 'cancel' | 'result'
/** XEP-0004 §3.3. */
export type FieldType =
  | 'boolean'
  | 'fixed'
  | 'hidden'
  | 'jid-multi'
  | 'jid-single'
  | 'list-multi'
  | 'list-single'
  | 'text-multi'
  | 'text-private'
  | 'text-single'

/** A field to be written. */
export interface FormField {
  /** Left out of a `fixed` field only. */
  readonly var?: string
  readonly type?: FieldType
  readonly label?: string
  readonly desc?: string
  readonly required?: boolean
  readonly values?: readonly string[]
  readonly options?: readonly { readonly label?: string; readonly value: string }[]
  /** Other payloads, as XEP-0221 media. */
  readonly payloads?: readonly Element[]
}
export interface FormDescription {
  readonly type: FormType
  /** The namespace of the fields (XEP-0068). */
  readonly formType?: string
  readonly title?: string
  readonly instructions?: string
  readonly fields: readonly FormField[]
}

/** A form as it was received. */
export interface DataForm {
  readonly type: FormType
  /** Value of the field `FORM_TYPE` (XEP-0068). */
  readonly formType: string | undefined
  /** Values by the field's `var`, without `FORM_TYPE`; of fields said twice, the first. */
  readonly fields: ReadonlyMap<string, readonly string[]>
}

const FORM_TYPE = 'FORM_TYPE'
const FORM_TYPES: ReadonlySet<string> = new Set<FormType>(['form', 'submit', 'cancel', 'result'])

/** Writes a form (XEP-0004). */
export function formElement(form: FormDescription): Element {
  const parts: Element[] = []
  if (form.title !== undefined) parts.push(el('title', NS_DATA, {}, form.title))
  if (form.instructions !== undefined) parts.push(el('instructions', NS_DATA, {}, form.instructions))
  if (form.formType !== undefined) {
    // XEP-0068: hidden in forms; in a submission its type is not said.
    const type = form.type === 'submit' ? {} : { type: 'hidden' as const }
    parts.push(fieldElement({ var: FORM_TYPE, ...type, values: [form.formType] }))
  }
  for (const field of form.fields) parts.push(fieldElement(field))
  return el('x', NS_DATA, { type: form.type }, ...parts)
}
function fieldElement(field: FormField): Element {
  const attrs: Record<string, string> = {}
  if (field.type !== undefined) attrs.type = field.type
  if (field.var !== undefined) attrs.var = field.var
  if (field.label !== undefined) attrs.label = field.label
  const parts: Element[] = []
  if (field.desc !== undefined) parts.push(el('desc', NS_DATA, {}, field.desc))
  if (field.required === true) parts.push(el('required', NS_DATA))
  for (const value of field.values ?? []) parts.push(el('value', NS_DATA, {}, value))
  for (const { label, value } of field.options ?? []) {
    parts.push(el('option', NS_DATA, label === undefined ? {} : { label }, el('value', NS_DATA, {}, value)))
  }
  parts.push(...(field.payloads ?? []))
  return el('field', NS_DATA, attrs, ...parts)
}

/** Reads a form; undefined when the element is none, or of no type XEP-0004 knows. */
export function readForm(x: Element): DataForm | undefined {
  const type = x.attrs.type
  if (x.name !== 'x' || x.ns !== NS_DATA || type === undefined || !FORM_TYPES.has(type)) return undefined
  const fields = new Map<string, readonly string[]>()
  for (const field of children(x, 'field', NS_DATA)) {
    const name = field.attrs.var
    if (name === undefined || fields.has(name)) continue
    fields.set(name, children(field, 'value', NS_DATA).map(textOf))
  }
  const formType = fields.get(FORM_TYPE)?.[0]
  fields.delete(FORM_TYPE)
  return { type: type as FormType, formType, fields }
}
/** The form among an element's children; undefined when there is none. */
export function formIn(parent: Element): DataForm | undefined {
  const x = child(parent, 'x', NS_DATA)
  return x === undefined ? undefined : readForm(x)
}
/** The first value of a field; undefined when it has none. */
export function fieldValue(form: DataForm, name: string): string | undefined {
  return form.fields.get(name)?.[0]
}
/** A boolean field (XEP-0004 §3.3): undefined when absent or neither true nor false. */
export function booleanOf(form: DataForm, name: string): boolean | undefined {
  const value = fieldValue(form, name)
  if (value === '1' || value === 'true') return true
  return value === '0' || value === 'false' ? false : undefined
}
