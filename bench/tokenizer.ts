import { type Element as LtxElement, Parser } from 'ltx'
import { parseJid } from '../src/xmpp/jid.ts'
import { Stanza } from '../src/xmpp/stanza.ts'
import { type RawElement, Tokenizer, type TokenizerLimits } from '../src/xmpp/tokenizer.ts'

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
const CHUNK = Buffer.concat(Array.from({ length: PER_CHUNK }, () => STANZA))
const ROUNDS = 7
const SEGMENT = 1460
const DRIPS = 400_000

/** Nanoseconds per unit of one run, the median of several. */
function median(units: number, run: () => void): number {
  const figures: number[] = []
  run()
  run()
  for (let i = 0; i < ROUNDS; i++) {
    const begun = process.hrtime.bigint()
    run()
    figures.push(Number(process.hrtime.bigint() - begun) / units)
  }
  return figures.sort((a, b) => a - b)[ROUNDS >> 1] as number
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

/** How fast are octets taken for stanzas, against ltx in the same run, and is it linear in the octets however they come? */
export async function run(args: readonly string[]): Promise<void> {
  const times = Number(args[0] ?? 100)
  const stanzas = times * PER_CHUNK
  let seen = 0
  const recognised = (token: RawElement): void => {
    if (token.to !== undefined) seen++
  }
  const rows: [string, number][] = []
  rows.push(['whole chunks, routing attributes read', median(stanzas, () => tokenize(times, CHUNK.length, recognised))])
  rows.push(['pieces of 1,460 octets', median(stanzas, () => tokenize(times, SEGMENT, recognised))])
  const tree = (token: RawElement): void => {
    if (token.element.name === 'message') seen++
  }
  rows.push(['whole chunks, tree built', median(stanzas, () => tokenize(times, CHUNK.length, tree))])
  const from = parseJid('romeo@montague.example/orchard')
  const routed = (token: RawElement): void => {
    const to = parseJid(token.to ?? '')
    if (from !== undefined && Stanza.received('message', token, from, to).bytes.length > 0) seen++
  }
  const ours = median(stanzas, () => tokenize(times, CHUNK.length, routed))
  rows.push(['whole chunks, routed: addressed and written', ours])
  // A document per chunk, since ltx would keep every child of a stream.
  const text = `<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>${CHUNK}`
  const parsed = (read: (element: LtxElement) => void): number =>
    median(stanzas, () => {
      for (let i = 0; i < times; i++) {
        const parser = new Parser()
        parser.on('tree', (root: LtxElement) => {
          for (const element of root.children) if (typeof element !== 'string') read(element)
        })
        parser.write(text)
        parser.end('</stream:stream>')
      }
    })
  const ltx = parsed((element) => {
    if (element.attrs.to !== undefined) seen++
  })
  rows.push(['ltx, tree built', ltx])
  const ltxRouted = parsed((element) => {
    element.attrs.from = from
    if (Buffer.from(element.toString()).length > 0) seen++
  })
  rows.push(['ltx, routed: addressed and written', ltxRouted])
  for (const octets of [DRIPS / 2, DRIPS]) {
    const body = Buffer.from(`<message><body>${'x'.repeat(octets)}`)
    const drip = median(octets, () => {
      const tokenizer = opened()
      for (let i = 0; i < body.length; i++) {
        tokenizer.push(body.subarray(i, i + 1))
        tokenizer.next()
      }
    })
    rows.push([`${octets} octets one by one, per octet`, drip])
  }
  if (seen === 0) throw new Error('nothing was read')
  const whole = rows[0]?.[1] ?? Number.NaN
  console.log(`stanza of ${STANZA.length} octets, ${stanzas} a round, median of ${ROUNDS} rounds`)
  for (const [name, nanoseconds] of rows) console.log(`${name.padEnd(44)} ${nanoseconds.toFixed(0).padStart(8)} ns`)
  console.log(`${'ltx tree / recognised'.padEnd(44)} ${(ltx / whole).toFixed(1).padStart(8)}`)
  console.log(`${'ltx routed / routed'.padEnd(44)} ${(ltxRouted / ours).toFixed(1).padStart(8)}`)
}
