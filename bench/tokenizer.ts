import { type Element as LtxElement, Parser } from 'ltx'
import { parseJid } from '../src/xmpp/jid.ts'
import { Stanza } from '../src/xmpp/stanza.ts'
import { type RawElement, Tokenizer, type TokenizerLimits } from '../src/xmpp/tokenizer.ts'
import { positive } from './options.ts'

const LIMITS: TokenizerLimits = {
  maxBytes: 1 << 20,
  maxDepth: 64,
  maxElements: 10_000,
  maxAttributes: 64,
  maxNamespaces: 64,
}
const HEADER = Buffer.from(
  `<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>`,
)
const FRONT =
  `<message to='juliet@capulet.example/balcony' from='romeo@montague.example/orchard' id='a8f3-77c1-0042' type='chat'>` +
  `<body>`
const BACK = `</body><active xmlns='http://jabber.org/protocol/chatstates'/><request xmlns='urn:xmpp:receipts'/></message>`
const TEXT = 'Wherefore art thou Romeo? Deny thy father and refuse thy name; or if thou wilt not, '
const STANZA = Buffer.from(
  FRONT + TEXT.slice(0, 300 - FRONT.length - BACK.length).padEnd(300 - FRONT.length - BACK.length, '.') + BACK,
)
const PER_CHUNK = 200
// Every stanza has an id of its own.
const CHUNK = Buffer.concat(
  Array.from({ length: PER_CHUNK }, (_, i) => Buffer.from(`${STANZA}`.replace('0042', `${1000 + i}`))),
)
const WARM_UP = 20
const ROUNDS = 200
const SEGMENT = 1460
const DRIPS = 20_000

interface Case {
  readonly name: string
  readonly units: number
  readonly run: () => void
}
/**
 * Nanoseconds per unit of each case. All take turns within every round, so that what else the machine does meanwhile meets all
 * alike; the best of many short rounds is what is left when it does nothing else.
 */
function measure(cases: readonly Case[]): { readonly best: number; readonly median: number }[] {
  const figures = cases.map((): number[] => [])
  for (let round = -WARM_UP; round < ROUNDS; round++) {
    for (const [i, { units, run }] of cases.entries()) {
      const begun = process.hrtime.bigint()
      run()
      if (round >= 0) figures[i]?.push(Number(process.hrtime.bigint() - begun) / units)
    }
  }
  return figures.map((list) => {
    list.sort((a, b) => a - b)
    return { best: list[0] as number, median: list[ROUNDS >> 1] as number }
  })
}
function opened(): Tokenizer {
  const tokenizer = new Tokenizer(LIMITS)
  tokenizer.push(HEADER)
  tokenizer.next()
  return tokenizer
}

/** Reads the chunk so often, in pieces of `size` octets. */
function tokenize(times: number, size: number, read: (token: RawElement) => void): void {
  const tokenizer = opened()
  for (let i = 0; i < times; i++) {
    for (let at = 0; at < CHUNK.length; at += size) {
      tokenizer.push(size >= CHUNK.length ? CHUNK : CHUNK.subarray(at, at + size))
      for (let token = tokenizer.next(); token !== undefined; token = tokenizer.next()) {
        if (token.token === 'element') read(token)
      }
    }
  }
}

/** A document per chunk, since ltx would keep every child of a stream; it takes text, which octets are made first. */
function parse(times: number, size: number, read: (element: LtxElement) => void): void {
  for (let i = 0; i < times; i++) {
    const parser = new Parser()
    parser.on('tree', (root: LtxElement) => {
      for (const element of root.children) if (typeof element !== 'string') read(element)
    })
    parser.write(`<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>`)
    for (let at = 0; at < CHUNK.length; at += size) parser.write(CHUNK.toString('utf8', at, at + size))
    parser.end('</stream:stream>')
  }
}
function drip(octets: number): Case {
  const body = Buffer.from(`<message><body>${'x'.repeat(octets)}`)
  const run = (): void => {
    const tokenizer = opened()
    for (let i = 0; i < body.length; i++) {
      tokenizer.push(body.subarray(i, i + 1))
      tokenizer.next()
    }
  }
  return { name: `${octets} octets one by one, per octet`, units: octets, run }
}

/** How fast are octets taken for stanzas, against ltx in the same run, and is it linear in the octets however they come? */
export async function run(args: readonly string[]): Promise<void> {
  const times = positive(args[0], 4, 'how often the stanzas come in each round')
  const units = times * PER_CHUNK
  const from = parseJid('romeo@montague.example/orchard')
  if (from === undefined) throw new Error('no address')
  let seen = 0
  const recognised = (token: RawElement): void => {
    if (token.to !== undefined && token.id !== undefined && token.type === 'chat') seen++
  }
  const tree = (token: RawElement): void => {
    if (token.element.name === 'message') seen++
  }
  const routed = (token: RawElement): void => {
    if (Stanza.received('message', token, from, parseJid(token.to ?? '')).bytes.length > 0) seen++
  }
  const ltxRecognised = ({ attrs }: LtxElement): void => {
    if (attrs.to !== undefined && attrs.id !== undefined && attrs.type === 'chat') seen++
  }
  const ltxRouted = (element: LtxElement): void => {
    element.attrs.from = from
    if (Buffer.from(element.toString()).length > 0) seen++
  }
  const whole = CHUNK.length
  const cases: Case[] = [
    { name: 'recognised, whole chunks', units, run: () => tokenize(times, whole, recognised) },
    { name: 'recognised, a stanza a chunk', units, run: () => tokenize(times, STANZA.length, recognised) },
    { name: `recognised, pieces of ${SEGMENT} octets`, units, run: () => tokenize(times, SEGMENT, recognised) },
    { name: 'tree built, whole chunks', units, run: () => tokenize(times, whole, tree) },
    { name: 'routed, a stanza a chunk', units, run: () => tokenize(times, STANZA.length, routed) },
    { name: 'ltx: tree built, whole chunks', units, run: () => parse(times, whole, ltxRecognised) },
    { name: 'ltx: tree built, a stanza a chunk', units, run: () => parse(times, STANZA.length, ltxRecognised) },
    { name: 'ltx: routed, a stanza a chunk', units, run: () => parse(times, STANZA.length, ltxRouted) },
    { name: `ltx: tree built, pieces of ${SEGMENT} octets`, units, run: () => parse(times, SEGMENT, ltxRecognised) },
    drip(DRIPS / 2),
    drip(DRIPS),
  ]
  const figures = measure(cases)
  if (seen === 0) throw new Error('nothing was read')
  console.log(`stanza of ${STANZA.length} octets, ${units} a round, ${ROUNDS} rounds; nanoseconds: best, median`)
  const row = (name: string, a: number, b: number, digits: number): void =>
    console.log(`${name.padEnd(44)} ${a.toFixed(digits).padStart(8)} ${b.toFixed(digits).padStart(8)}`)
  for (const [i, { name }] of cases.entries()) row(name, figures[i]?.best ?? 0, figures[i]?.median ?? 0, 0)
  const compare = (name: string, slow: number, fast: number): void => {
    const [a, b] = [figures[slow], figures[fast]]
    if (a !== undefined && b !== undefined) row(name, a.best / b.best, a.median / b.median, 2)
  }
  compare('ltx tree / recognised, whole chunks', 5, 0)
  compare('ltx tree / recognised, a stanza a chunk', 6, 1)
  compare('ltx tree / recognised, pieces', 8, 2)
  compare('ltx routed / routed', 7, 4)
  compare('ltx routed / recognised, a stanza a chunk', 7, 1)
  compare('pieces / whole chunks', 2, 0)
  compare('twice the octets one by one, per octet', 10, 9)
}
